// A session that goes on with another client: what the earlier one sent comes too late.
#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

wire::MkdirRequest MkdirOf(NamespaceFixture& fs, const std::string& name, uint64_t client) {
  wire::MkdirRequest request;
  *request.mutable_context() = fs.Context();
  request.mutable_context()->set_client(client);
  request.set_parent(kRootInode.value());
  request.set_name(name);
  request.set_mode(0755);
  return request;
}

wire::ResumeSessionRequest ResumeOf(SessionId session, uint64_t client) {
  wire::ResumeSessionRequest request;
  request.set_session_id(session.value());
  request.set_client(client);
  return request;
}

absl::StatusOr<wire::ResumeSessionResponse> Resume(NamespaceFixture& fs, uint64_t client) {
  wire::ResumeSessionResponse response;
  RETURN_IF_ERROR(fs.names().ResumeSession(ResumeOf(fs.session(), client), response));
  return response;
}

absl::Status Beat(NamespaceFixture& fs, uint64_t client) {
  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(fs.session().value());
  beat.set_client(client);
  beat.set_whole(true);
  wire::SessionHeartbeatResponse response;
  return fs.names().Heartbeat(beat, response);
}

}  // namespace

TEST_CASE("an earlier client's changes are refused, the later one's are made",
          "[metaserver][session]") {
  NamespaceFixture fs;
  REQUIRE(fs.names().Mutate(Mkdir, MkdirOf(fs, "a", 1)).ok());
  REQUIRE(Resume(fs, 2).ok());
  auto late = fs.names().Mutate(Mkdir, MkdirOf(fs, "late", 1));
  REQUIRE(absl::IsFailedPrecondition(late.status()));
  REQUIRE(ReasonOf(late.status()) == Reason::kOldSequence);
  REQUIRE(fs.names().Mutate(Mkdir, MkdirOf(fs, "b", 2)).ok());
  wire::BeginSharedWriteRequest turn;  // which has no sequence
  turn.mutable_context()->set_session_id(fs.session().value());
  turn.mutable_context()->set_client(1);
  turn.set_ino(fs.InoOf("/a"));
  REQUIRE(ReasonOf(fs.names().Mutate(BeginSharedWrite, turn).status()) == Reason::kOldSequence);
  REQUIRE(fs.Tree() == Paths{"/a/", "/b/"});
}

TEST_CASE("a later client finds the answer to what an earlier one asked", "[metaserver][session]") {
  NamespaceFixture fs;
  wire::MkdirRequest request = MkdirOf(fs, "a", 1);
  auto first = fs.names().Mutate(Mkdir, request);
  REQUIRE(first.ok());
  REQUIRE(Resume(fs, 2).ok());
  request.mutable_context()->set_client(2);
  auto repeat = fs.names().Mutate(Mkdir, request);
  REQUIRE(repeat.ok());
  REQUIRE(repeat->entry().attr().ino() == first->entry().attr().ino());
}

TEST_CASE("only a session that lives is resumed, and only forwards", "[metaserver][session]") {
  NamespaceFixture fs;
  REQUIRE(absl::IsInvalidArgument(Resume(fs, 0).status()));
  REQUIRE(Resume(fs, 5).ok());
  REQUIRE(Resume(fs, 5).ok());  // a repeat
  REQUIRE(ReasonOf(Resume(fs, 4).status()) == Reason::kOldSequence);
  REQUIRE(fs.names().sessions().CloseSession(fs.session()).ok());
  REQUIRE(ReasonOf(Resume(fs, 6).status()) == Reason::kSessionUnknown);
}

TEST_CASE("a heartbeat says which client it is, also after a restart", "[metaserver][session]") {
  NamespaceFixture fs;
  REQUIRE(Resume(fs, 2).ok());
  REQUIRE(ReasonOf(Beat(fs, 1)) == Reason::kOldSequence);
  REQUIRE(Beat(fs, 2).ok());
  fs.Reopen();
  REQUIRE(Beat(fs, 2).ok());
  REQUIRE(ReasonOf(Beat(fs, 1)) == Reason::kOldSequence);
  REQUIRE(ReasonOf(fs.names().Mutate(Mkdir, MkdirOf(fs, "late", 1)).status()) ==
          Reason::kOldSequence);
  REQUIRE(fs.names().Mutate(Mkdir, MkdirOf(fs, "a", 2)).ok());
}

TEST_CASE("a session is resumed when what is on its way to the log has got there",
          "[metaserver][session]") {
  NamespaceFixture fs;
  SessionTable& sessions = fs.names().sessions();
  const wire::MetaContext first = MkdirOf(fs, "a", 1).context();
  wire::MetaContext second = MkdirOf(fs, "b", 1).context();
  second.set_slot(1);
  REQUIRE(sessions.BeginMutation(first).ok());
  REQUIRE(sessions.BeginMutation(second).ok());
  REQUIRE(sessions.BeginApply(first).ok());
  auto resumed = std::async(std::launch::async, [&] { return Resume(fs, 2).status(); });
  while (sessions.Check(first).ok()) std::this_thread::yield();
  REQUIRE(absl::IsAborted(sessions.BeginApply(second)));  // too late
  REQUIRE(resumed.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  sessions.EndMutation(first, absl::OkStatus(), /*recorded=*/true);
  REQUIRE(resumed.get().ok());
  sessions.EndMutation(second, absl::AbortedError("too late"), /*recorded=*/false);
}

TEST_CASE("a later client hears of the truncations that it has to finish",
          "[metaserver][session]") {
  NamespaceFixture fs({"/f", "/g"});
  REQUIRE(fs.PublishChunks("/f", 100 << 20).ok());
  REQUIRE(fs.Truncate("/f", 5 << 20).ok());
  wire::ResumeSessionResponse other;
  REQUIRE(fs.names().ResumeSession(ResumeOf(fs.OpenSession("node2"), 9), other).ok());
  REQUIRE(other.truncating().empty());
  auto resumed = Resume(fs, 2);
  REQUIRE(resumed.ok());
  REQUIRE(resumed->truncating_size() == 1);
  REQUIRE(resumed->truncating(0) == fs.InoOf("/f"));
  auto anew = fs.Truncate("/f", 5 << 20);
  wire::TruncateDoneRequest done;
  *done.mutable_context() = fs.Context();
  done.set_ino(fs.InoOf("/f"));
  done.set_truncate_intent(anew->truncate_intent());
  REQUIRE(fs.names().Mutate(TruncateDone, done).ok());
  REQUIRE(Resume(fs, 3)->truncating().empty());
}

}  // namespace penstock::metaserver
