#include "metaserver/reclaim/reclaimer.h"

#include <catch2/catch.hpp>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

// Keeps orders and fences until the test says that they are done.
class FakeCluster : public ContentDeleter, public SessionFence {
 public:
  bool Delete(const wire::DeleteContent& order, absl::AnyInvocable<void() &&> done) override {
    deletes.push_back(order);
    pending.push_back(std::move(done));
    return true;
  }
  bool Truncate(const wire::TruncateContent& order, absl::AnyInvocable<void() &&> done) override {
    truncates.push_back(order);
    pending.push_back(std::move(done));
    return true;
  }
  size_t overdue() const override { return late; }
  void Fence(SessionId session, absl::AnyInvocable<void() &&> done) override {
    fenced.push_back(session);
    pending.push_back(std::move(done));
  }
  void FinishAll() {
    for (auto& done : pending) std::move(done)();
    pending.clear();
  }
  std::vector<wire::DeleteContent> deletes;
  std::vector<wire::TruncateContent> truncates;
  std::vector<SessionId> fenced;
  size_t late = 0;
  std::vector<absl::AnyInvocable<void() &&>> pending;
};

struct ReclaimFixture {
  NamespaceFixture fs{Paths{"/f"}};
  FakeCluster cluster;
  std::unique_ptr<Reclaimer> reclaimer = Make();
  std::unique_ptr<Reclaimer> Make() {
    return std::make_unique<Reclaimer>(ReclaimerOptions(), &fs.names(), &cluster, &cluster);
  }
  void Round(absl::Duration later = absl::ZeroDuration()) {
    fs.clock().Advance(later);
    REQUIRE(reclaimer->RunOnce().ok());
  }
};

}  // namespace

TEST_CASE("an unlinked file goes after the grace period, then its content",
          "[metaserver][reclaim]") {
  ReclaimFixture r;
  REQUIRE(r.fs.PublishChunks("/f", 10 << 20).ok());
  r.fs.Report(r.fs.session());  // Create had registered it as open; it is not any more
  const uint64_t ino = r.fs.InoOf("/f");
  const uint64_t content = r.fs.Lookup("/f")->layout().content_id();
  REQUIRE(r.fs.Unlink("/f").ok());
  r.Round(absl::Seconds(9));
  REQUIRE(r.fs.Getattr(ino).ok());
  r.fs.clock().Advance(absl::Seconds(2));
  r.Round();
  REQUIRE(r.fs.Getattr(ino).ok());  // the session has not reported since
  r.fs.Report(r.fs.session());
  r.Round();
  REQUIRE(ErrnoOf(r.fs.Getattr(ino).status()) == ESTALE);
  REQUIRE(r.fs.names().Counters(kRootDataset)->inodes == 1);
  REQUIRE(r.fs.names().Counters(kRootDataset)->bytes == 0);
  REQUIRE(r.cluster.deletes.empty());
  r.Round(absl::Seconds(11));
  REQUIRE(r.cluster.deletes.size() == 1);
  REQUIRE(r.cluster.deletes[0].layout().content_id() == content);
  REQUIRE(r.cluster.deletes[0].chunk_count() >= 3);
  REQUIRE(r.fs.log().last_synced_index() > 0);
  r.Round(absl::Seconds(1));
  REQUIRE(r.cluster.deletes.size() == 1);  // given once
  r.cluster.FinishAll();
  r.Round();
  REQUIRE(r.reclaimer->counters().contents_deleted == 1);
  REQUIRE(r.fs.store().Scan(Family::kOrphan, "")->empty());
}

TEST_CASE("an unfinished deletion is given again after a restart", "[metaserver][reclaim]") {
  ReclaimFixture r;
  REQUIRE(r.fs.PublishChunks("/f", 10 << 20).ok());
  REQUIRE(r.fs.Truncate("/f", 0).ok());
  r.Round(absl::Seconds(11));
  REQUIRE(r.cluster.deletes.size() == 1);
  r.cluster.pending.clear();
  r.reclaimer.reset();
  r.fs.Reopen(/*kill=*/true);
  r.reclaimer = r.Make();
  r.Round();
  REQUIRE(r.cluster.deletes.size() == 2);
}

TEST_CASE("deletions that wait for an absent disk do not stop others", "[metaserver][reclaim]") {
  ReclaimFixture r;
  r.reclaimer = std::make_unique<Reclaimer>(ReclaimerOptions{.max_orders = 1}, &r.fs.names(),
                                            &r.cluster, &r.cluster);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(r.fs.PublishChunks("/f", 10 << 20).ok());
    REQUIRE(r.fs.Truncate("/f", 0).ok());
  }
  r.Round(absl::Seconds(11));
  r.Round();
  REQUIRE(r.cluster.deletes.size() == 1);
  r.cluster.late = 1;
  r.Round();
  REQUIRE(r.cluster.deletes.size() == 2);
}

TEST_CASE("an inline file leaves nothing to delete", "[metaserver][reclaim]") {
  ReclaimFixture r;
  REQUIRE(r.fs.PublishInline("/f", "small").ok());
  REQUIRE(r.fs.Unlink("/f").ok());
  r.fs.clock().Advance(absl::Seconds(11));
  r.fs.Report(r.fs.session());
  r.Round();
  r.Round(absl::Seconds(11));
  REQUIRE(r.reclaimer->counters().orphans_reclaimed == 1);
  REQUIRE(r.cluster.deletes.empty());
}

TEST_CASE("a report that was on its way when a file lost its name does not count",
          "[metaserver][reclaim]") {
  ReclaimFixture r;
  const uint64_t ino = r.fs.InoOf("/f");
  const SessionId reader = r.fs.OpenSession("node2");
  r.fs.Report(r.fs.session());
  REQUIRE(r.fs.Unlink("/f").ok());
  r.fs.clock().Advance(absl::Seconds(1));
  r.fs.Report(reader);  // made before it opened the file
  r.fs.clock().Advance(absl::Seconds(10));
  r.fs.Report(r.fs.session());
  r.Round();
  REQUIRE(r.fs.Getattr(ino).ok());
  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(reader.value());
  beat.add_opened(ino);
  REQUIRE(r.fs.names().sessions().Heartbeat(beat).ok());
  r.fs.Report(r.fs.session());
  r.Round();
  REQUIRE(r.fs.Getattr(ino).ok());
}

TEST_CASE("an open file outlives its name until the holder lets go", "[metaserver][reclaim]") {
  ReclaimFixture r;
  const uint64_t ino = r.fs.InoOf("/f");
  REQUIRE(r.fs.Unlink("/f", /*held=*/ino).ok());
  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(r.fs.session().value());
  for (int i = 0; i < 3; ++i) {
    r.fs.clock().Advance(absl::Seconds(20));
    REQUIRE(r.fs.names().sessions().Heartbeat(beat).ok());
    r.Round();
    REQUIRE(r.fs.Getattr(ino).ok());
  }
  r.reclaimer.reset();
  r.fs.Reopen();  // who holds it is not known until the session has reported again, whole
  r.reclaimer = r.Make();
  r.fs.clock().Advance(absl::Seconds(60));
  REQUIRE(r.fs.names().sessions().Heartbeat(beat).ok());
  r.Round();
  REQUIRE(r.fs.Getattr(ino).ok());
  beat.set_whole(true);
  beat.add_opened(ino);
  REQUIRE(r.fs.names().sessions().Heartbeat(beat).ok());
  r.Round();
  REQUIRE(r.fs.Getattr(ino).ok());
  r.fs.Report(r.fs.session());
  r.Round();
  REQUIRE(ErrnoOf(r.fs.Getattr(ino).status()) == ESTALE);
}

TEST_CASE("a silent session is fenced, then its holds are dropped", "[metaserver][reclaim]") {
  ReclaimFixture r;
  const uint64_t ino = r.fs.InoOf("/f");
  const SessionId dead = r.fs.OpenSession("node2");
  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(dead.value());
  beat.add_opened_write(ino);
  REQUIRE(r.fs.names().sessions().Heartbeat(beat).ok());
  REQUIRE(r.fs.Unlink("/f").ok());
  r.fs.clock().Advance(absl::Minutes(4));
  r.fs.Report(r.fs.session());
  r.fs.clock().Advance(absl::Minutes(2));
  r.fs.Report(r.fs.session());
  r.Round();
  REQUIRE(r.cluster.fenced == std::vector<SessionId>{dead});
  REQUIRE(r.fs.Getattr(ino).ok());  // not before the fence is confirmed
  REQUIRE(r.fs.names().sessions().List().size() == 1);
  r.cluster.FinishAll();
  r.Round();
  REQUIRE(ErrnoOf(r.fs.Getattr(ino).status()) == ESTALE);
  r.fs.Reopen();
  REQUIRE(r.fs.names().sessions().List().size() == 1);
}

TEST_CASE("the truncation of a dead client is finished by the chunkservers",
          "[metaserver][reclaim]") {
  ReclaimFixture r;
  REQUIRE(r.fs.PublishChunks("/f", 100 << 20).ok());
  REQUIRE(r.fs.Truncate("/f", 5 << 20).ok());
  r.Round(absl::Seconds(30));
  REQUIRE(r.cluster.truncates.empty());  // its session lives
  REQUIRE(r.fs.names().sessions().CloseSession(r.fs.session()).ok());
  r.Round();
  r.Round();
  REQUIRE(r.cluster.truncates.empty());  // not fenced yet
  r.cluster.FinishAll();
  r.Round();
  REQUIRE(r.cluster.truncates.size() == 1);
  REQUIRE(r.cluster.truncates[0].new_size() == 5 << 20);
  REQUIRE(r.cluster.truncates[0].old_size() == 100 << 20);
  r.cluster.FinishAll();
  r.Round();
  REQUIRE_FALSE(r.fs.Lookup("/f")->truncating());
  REQUIRE(r.reclaimer->counters().truncations_finished == 1);
}

TEST_CASE("a stale session is ended when somebody waits for its truncation",
          "[metaserver][reclaim]") {
  ReclaimFixture r;
  REQUIRE(r.fs.PublishChunks("/f", 100 << 20).ok());
  REQUIRE(r.fs.Truncate("/f", 5 << 20).ok());
  const SessionId other = r.fs.OpenSession("node2");
  wire::OpenRequest open;
  open.mutable_context()->set_session_id(other.value());
  open.set_ino(r.fs.InoOf("/f"));
  open.set_write(true);
  uint64_t sequence = 0;
  auto try_open = [&] {
    open.mutable_context()->set_sequence(++sequence);
    return ReasonOf(r.fs.names().Mutate(Open, open).status());
  };
  r.fs.clock().Advance(absl::Seconds(9));
  REQUIRE(try_open() == Reason::kTruncating);
  r.Round();
  REQUIRE(r.cluster.fenced.empty());  // its session is not stale yet
  r.fs.clock().Advance(absl::Seconds(2));
  REQUIRE(try_open() == Reason::kTruncating);
  r.Round();
  REQUIRE(r.cluster.fenced == std::vector<SessionId>{r.fs.session()});
  REQUIRE(r.cluster.truncates.empty());
  r.cluster.FinishAll();
  r.Round();
  r.Round();
  REQUIRE(r.cluster.truncates.size() == 1);
  r.cluster.FinishAll();
  r.Round();
  REQUIRE(try_open() == Reason::kNone);
}

namespace {

// As a client says it in a heartbeat.
void HoldForWriting(ReclaimFixture& r, SessionId session, uint64_t ino) {
  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(session.value());
  beat.set_whole(true);
  beat.add_opened_write(ino);
  REQUIRE(r.fs.names().sessions().Heartbeat(beat).ok());
}

void EndAndFence(ReclaimFixture& r, SessionId dead) {
  REQUIRE(r.fs.names().sessions().Evict(dead).ok());
  r.Round();  // asks for the fence
  r.cluster.FinishAll();
}

}  // namespace

TEST_CASE("what a dead writer may have left beyond the size is cut off before others may write",
          "[metaserver][reclaim]") {
  ReclaimFixture r;
  const uint64_t size = (5 << 20) + 7;
  REQUIRE(r.fs.PublishChunks("/f", size).ok());
  r.fs.Report(r.fs.session());
  const SessionId dead = r.fs.OpenSession("node2");
  HoldForWriting(r, dead, r.fs.InoOf("/f"));
  EndAndFence(r, dead);
  r.Round();
  REQUIRE(r.cluster.truncates.size() == 1);
  REQUIRE(r.cluster.truncates[0].new_size() == size);
  REQUIRE(r.cluster.truncates[0].old_size() >= size + (uint64_t{1} << 30));
  wire::OpenRequest open;
  open.set_ino(r.fs.InoOf("/f"));
  open.set_write(true);
  auto try_open = [&] {
    *open.mutable_context() = r.fs.Context();
    return ReasonOf(r.fs.names().Mutate(Open, open).status());
  };
  REQUIRE(try_open() == Reason::kTruncating);
  r.cluster.FinishAll();
  r.Round();
  REQUIRE(try_open() == Reason::kNone);
  REQUIRE(r.fs.Lookup("/f")->attr().size() == size);
  REQUIRE(r.fs.names().sessions().List().size() == 1);
}

TEST_CASE("an inline file that a dead writer had open gets another content id",
          "[metaserver][reclaim]") {
  ReclaimFixture r;
  REQUIRE(r.fs.PublishInline("/f", "small").ok());
  const uint64_t content = r.fs.Lookup("/f")->layout().content_id();
  r.fs.Report(r.fs.session());
  const SessionId dead = r.fs.OpenSession("node2");
  HoldForWriting(r, dead, r.fs.InoOf("/f"));
  EndAndFence(r, dead);
  r.Round();
  r.Round(absl::Seconds(60));
  REQUIRE(r.cluster.truncates.empty());
  REQUIRE(r.cluster.deletes.size() == 1);
  REQUIRE(r.cluster.deletes[0].layout().content_id() == content);
  const auto after = r.fs.Lookup("/f");
  REQUIRE(after->layout().content_id() != content);
  REQUIRE(after->inline_data() == "small");
  REQUIRE(after->attr().size() == 5);
}

TEST_CASE("a file that others write too is not cut when one of them dies",
          "[metaserver][reclaim]") {
  ReclaimFixture r;
  REQUIRE(r.fs.PublishChunks("/f", 5 << 20).ok());
  const SessionId dead = r.fs.OpenSession("node2");
  HoldForWriting(r, dead, r.fs.InoOf("/f"));
  const bool opened = GENERATE(false, true);
  if (opened) {
    r.fs.names().sessions().NoteOpen(r.fs.session(), InodeNumber(r.fs.InoOf("/f")),
                                     {.write = true, .shared = true});
  }
  HoldForWriting(r, r.fs.session(), r.fs.InoOf("/f"));  // a whole report takes nothing away
  EndAndFence(r, dead);
  r.Round();
  r.Round();
  // An open that has only begun waits for the dead one; nothing was written under it.
  REQUIRE(r.cluster.truncates.size() == (opened ? 0 : 1));
  REQUIRE(r.fs.names().sessions().List().size() == 1);  // gone in both cases
}

TEST_CASE("nothing is cut while a session has not said what it writes", "[metaserver][reclaim]") {
  ReclaimFixture r;
  REQUIRE(r.fs.PublishChunks("/f", 5 << 20).ok());
  const uint64_t ino = r.fs.InoOf("/f");
  const SessionId dead = r.fs.OpenSession("node2");
  r.fs.Reopen();
  r.reclaimer = r.Make();
  HoldForWriting(r, dead, ino);  // the fixture's own session has not reported
  EndAndFence(r, dead);
  r.Round();
  r.Round();
  REQUIRE(r.cluster.truncates.empty());
}

}  // namespace penstock::metaserver
