// A session's end: durable before anybody profits from it, however it came.
#include <absl/synchronization/notification.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <thread>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/store/keys.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

class FakeFence : public SessionFence {
 public:
  void Fence(SessionId session, absl::AnyInvocable<void() &&> done) override {
    asked.push_back(session);
    pending.push_back(std::move(done));
    if (on_fence) on_fence(session);
  }
  void Confirm() {
    for (auto& done : pending) std::move(done)();
    pending.clear();
  }
  std::vector<SessionId> asked;
  std::vector<absl::AnyInvocable<void() &&>> pending;
  std::function<void(SessionId)> on_fence;
};

// Holds a synced entry back until the test lets it go.
class GatedLog : public ReplicatedLog {
 public:
  explicit GatedLog(ReplicatedLog* log) : log_(log) {}
  absl::StatusOr<uint64_t> Commit(rocksdb::WriteBatch batch, Durability durability) override {
    if (gated) {
      ++entries;
      reached.Notify();
      go.WaitForNotification();
    }
    return log_->Commit(std::move(batch), durability);
  }
  absl::Status Sync() override { return log_->Sync(); }
  absl::Status RecoverFromFullDisk() override { return log_->RecoverFromFullDisk(); }
  uint64_t last_index() const override { return log_->last_index(); }
  uint64_t last_synced_index() const override { return log_->last_synced_index(); }

  std::atomic<bool> gated = false;
  std::atomic<int> entries = 0;
  absl::Notification reached, go;

 private:
  ReplicatedLog* const log_;
};

wire::SessionHeartbeatRequest Beat(SessionId session) {
  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(session.value());
  return beat;
}

SessionRecord Stored(MetaStore& store, SessionId session) {
  auto value = store.Get(Family::kSession, SessionKey(session));
  REQUIRE(value.ok());
  auto record = DecodeSession(session, *value);
  REQUIRE(record.ok());
  return *record;
}

// Ends `session` by Reap(), after the given silence; with somebody waiting for it or not.
void FallSilent(NamespaceFixture& fs, SessionId session, bool in_the_way, FakeFence& fence) {
  fs.clock().Advance(in_the_way ? absl::Seconds(11) : absl::Seconds(301));
  fs.Report(fs.session());
  if (in_the_way) fs.names().sessions().EndIfStale(session);
  REQUIRE(fs.names().sessions().Check(session).ok());  // it ends in Reap() only
  REQUIRE(fs.names().sessions().Reap(fence).ok());
}

}  // namespace

TEST_CASE("however a session ended, it stays ended through a restart before its fence",
          "[metaserver][session]") {
  const std::string how = GENERATE("closed", "in the way", "expired");
  const bool kill = GENERATE(false, true);
  INFO(how << (kill ? ", killed" : ", stopped"));
  NamespaceFixture fs({"/f"});
  const uint64_t ino = fs.InoOf("/f");
  fs.Report(fs.session());
  const SessionId dead = fs.OpenSession("node2");
  wire::SessionHeartbeatRequest holds = Beat(dead);
  holds.add_opened_write(ino);
  REQUIRE(fs.names().sessions().Heartbeat(holds).ok());
  FakeFence fence;
  if (how == "closed") {
    REQUIRE(fs.names().sessions().CloseSession(dead).ok());
  } else {
    FallSilent(fs, dead, how == "in the way", fence);
  }
  REQUIRE(fs.log().last_synced_index() == fs.log().last_index());
  REQUIRE(fs.names().sessions().IsHeld(InodeNumber(ino)));  // until the fence is confirmed

  fs.Reopen(kill);
  SessionTable& sessions = fs.names().sessions();
  const absl::Status refused = sessions.Check(dead);
  REQUIRE(ReasonOf(refused) == Reason::kSessionUnknown);
  REQUIRE(ReasonOf(sessions.Heartbeat(holds)) == Reason::kSessionUnknown);
  wire::MkdirRequest mkdir;
  mkdir.mutable_context()->set_session_id(dead.value());
  mkdir.mutable_context()->set_sequence(1);
  mkdir.set_parent(kRootInode.value());
  mkdir.set_name("d");
  REQUIRE(ReasonOf(fs.names().Mutate(Mkdir, mkdir).status()) == Reason::kSessionUnknown);
  REQUIRE(sessions.CloseSession(dead).ok());
  REQUIRE_FALSE(sessions.IsHeld(InodeNumber(ino)));
  REQUIRE(sessions.List().size() == 1);
  REQUIRE(sessions.IsKnown(dead));

  FakeFence again;
  REQUIRE(sessions.Reap(again).ok());
  REQUIRE(again.asked == std::vector<SessionId>{dead});
  REQUIRE(sessions.Reap(again).ok());
  REQUIRE(again.asked.size() == 1);  // asked once
  REQUIRE(sessions.IsKnown(dead));
  again.Confirm();
  REQUIRE(sessions.Reap(again).ok());
  REQUIRE_FALSE(sessions.IsKnown(dead));
  REQUIRE(absl::IsNotFound(fs.store().Get(Family::kSession, SessionKey(dead)).status()));
}

TEST_CASE("no fence is asked for before the end is on disk", "[metaserver][session]") {
  NamespaceFixture fs;
  const SessionId slow = fs.OpenSession("node2");
  FakeFence fence;
  fence.on_fence = [&](SessionId session) {
    REQUIRE(Stored(fs.store(), session).ended);
    REQUIRE(fs.log().last_synced_index() == fs.log().last_index());
  };
  FallSilent(fs, slow, GENERATE(false, true), fence);
  REQUIRE(fence.asked == std::vector<SessionId>{slow});
}

TEST_CASE("a stale session that is heard of in time goes on", "[metaserver][session]") {
  NamespaceFixture fs;
  const SessionId slow = fs.OpenSession("node2");
  SessionTable& sessions = fs.names().sessions();
  FakeFence fence;
  sessions.EndIfStale(slow);  // not stale yet
  fs.clock().Advance(absl::Seconds(11));
  REQUIRE(sessions.Reap(fence).ok());
  sessions.EndIfStale(slow);
  REQUIRE(sessions.Heartbeat(Beat(slow)).ok());
  fs.clock().Advance(absl::Seconds(11));
  REQUIRE(sessions.Reap(fence).ok());
  REQUIRE(fence.asked.empty());
  REQUIRE_FALSE(Stored(fs.store(), slow).ended);
}

TEST_CASE("a session whose end cannot be recorded has not ended", "[metaserver][session]") {
  NamespaceFixture fs;
  const SessionId other = fs.OpenSession("node2");
  fs.log().FailForTest(PosixError(EIO, "the disk broke"));
  SessionTable& sessions = fs.names().sessions();
  REQUIRE(ErrnoOf(sessions.CloseSession(other)) == EIO);
  REQUIRE(sessions.Check(other).ok());
  REQUIRE(sessions.Heartbeat(Beat(other)).ok());
  fs.clock().Advance(absl::Minutes(6));
  FakeFence fence;
  REQUIRE_FALSE(sessions.Reap(fence).ok());
  REQUIRE(fence.asked.empty());
  REQUIRE(sessions.List().size() == 2);
  fs.Reopen();
  REQUIRE(fs.names().sessions().List().size() == 2);
}

TEST_CASE("while the end is on its way to the disk, calls are told to try again",
          "[metaserver][session]") {
  NamespaceFixture fs;
  GatedLog log(&fs.log());
  auto opened = SessionTable::Open({}, &fs.store(), &log, &fs.clock());
  REQUIRE(opened.ok());
  SessionTable& sessions = **opened;
  const SessionId session = fs.session();
  wire::MetaContext context;
  context.set_session_id(session.value());
  context.set_sequence(1000);
  log.gated = true;
  absl::Status closed[2];
  std::thread first([&] { closed[0] = sessions.CloseSession(session); });
  log.reached.WaitForNotification();
  std::thread second([&] { closed[1] = sessions.CloseSession(session); });
  REQUIRE(absl::IsAborted(sessions.Check(session)));
  REQUIRE(absl::IsAborted(sessions.Heartbeat(Beat(session))));
  REQUIRE(absl::IsAborted(sessions.BeginMutation(context).status()));
  REQUIRE(sessions.IsKnown(session));
  log.go.Notify();
  first.join();
  second.join();
  REQUIRE(closed[0].ok());
  REQUIRE(closed[1].ok());
  REQUIRE(log.entries == 1);  // the second found it ended
  REQUIRE(ReasonOf(sessions.Check(session)) == Reason::kSessionUnknown);
}

TEST_CASE("records of an ended session stay while a change of it runs", "[metaserver][session]") {
  NamespaceFixture fs;
  const wire::MetaContext context = fs.Context();
  SessionTable& sessions = fs.names().sessions();
  REQUIRE(sessions.BeginMutation(context).ok());
  REQUIRE(sessions.CloseSession(fs.session()).ok());
  FakeFence fence;
  REQUIRE(sessions.Reap(fence).ok());
  fence.Confirm();
  REQUIRE(sessions.Reap(fence).ok());
  REQUIRE(sessions.IsKnown(fs.session()));
  // The change puts its result in the slot's record, as Namespace does, and is done.
  rocksdb::WriteBatch batch;
  batch.Put(fs.store().family(Family::kSession), SlotKey(fs.session(), context.slot()),
            EncodeSlotResult({context.sequence(), "result"}));
  REQUIRE(fs.log().Commit(std::move(batch), Durability::kProcess).ok());
  sessions.EndMutation(context, absl::OkStatus(), /*recorded=*/true);
  REQUIRE(sessions.Reap(fence).ok());
  REQUIRE_FALSE(sessions.IsKnown(fs.session()));
  REQUIRE(fs.store().Scan(Family::kSession, "")->empty());
}

}  // namespace penstock::metaserver
