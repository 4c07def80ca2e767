#include "client/meta_client.h"

#include <catch2/catch.hpp>

namespace penstock::client {
namespace {

// Answers mkdirs from a script; sessions are numbered.
class ScriptedTransport : public MetaTransport {
 public:
  absl::Status Call(wire::Method method, const google::protobuf::Message& request,
                    google::protobuf::Message* response, const net::CallOptions&) override {
    absl::MutexLock lock(&mu);
    if (method == wire::METHOD_OPEN_SESSION) {
      static_cast<wire::OpenSessionResponse&>(*response).set_session_id(++session);
      return absl::OkStatus();
    }
    if (method == wire::METHOD_SESSION_HEARTBEAT) {
      told.push_back(static_cast<const wire::SessionHeartbeatRequest&>(request));
      mkdirs_before = seen.size();
    }
    if (method != wire::METHOD_MKDIR) return absl::OkStatus();
    seen.push_back(static_cast<const wire::MkdirRequest&>(request).context());
    if (script.empty()) return absl::OkStatus();
    absl::Status next = script.front();
    script.erase(script.begin());
    return next;
  }
  absl::Mutex mu;
  uint64_t session = 0;
  std::vector<absl::Status> script;
  std::vector<wire::MetaContext> seen;
  std::vector<wire::SessionHeartbeatRequest> told;
  size_t mkdirs_before = 0;  // the last of them
};

struct Fixture {
  Fixture() { REQUIRE(session.Open(OpContext{}).ok()); }
  absl::Status Mkdir(SessionId only = {}) {
    OpContext op;
    op.session = only;
    return meta.Mutate<wire::EntryResponse>(wire::METHOD_MKDIR, wire::MkdirRequest(), op).status();
  }
  ScriptedTransport transport;
  HoldTable holds;
  Session session{&transport, &holds, SystemClock(), {}};
  MetaClient meta{&transport, &session, {.io_timeout = absl::Milliseconds(200)}};
};

TEST_CASE("a repeated mutation keeps its slot and sequence", "[client][meta_client]") {
  Fixture f;
  f.transport.script = {absl::UnavailableError("gone"), absl::DeadlineExceededError("late"),
                        WithReason(absl::AbortedError("busy"), Reason::kTruncating)};
  REQUIRE(f.Mkdir().ok());
  REQUIRE(f.transport.seen.size() == 4);
  for (const wire::MetaContext& c : f.transport.seen) {
    REQUIRE(c.slot() == f.transport.seen[0].slot());
    REQUIRE(c.sequence() == 1);
  }
  REQUIRE(f.Mkdir().ok());
  REQUIRE(f.transport.seen.back().sequence() == 2);
}

TEST_CASE("a refusal is not repeated", "[client][meta_client]") {
  Fixture f;
  f.transport.script = {PosixError(EEXIST, "there")};
  REQUIRE(ErrnoOf(f.Mkdir()) == EEXIST);
  f.transport.script = {WithReason(absl::AbortedError("inline"), Reason::kInlineDropped)};
  REQUIRE(ReasonOf(f.Mkdir()) == Reason::kInlineDropped);
  REQUIRE(f.transport.seen.size() == 2);
}

TEST_CASE("a metaserver that stays away is EIO after the I/O timeout", "[client][meta_client]") {
  Fixture f;
  f.transport.script.assign(1000, absl::UnavailableError("gone"));
  REQUIRE(ErrnoOf(f.Mkdir()) == EIO);
}

TEST_CASE("an unknown session is opened anew and a request it never carried out goes again",
          "[client][meta_client]") {
  Fixture f;
  f.transport.script = {WithReason(absl::FailedPreconditionError("?"), Reason::kSessionUnknown)};
  SessionId lost;
  f.session.SetEvents({.on_lost = [&](SessionId id) { lost = id; }});
  REQUIRE(f.Mkdir().ok());
  REQUIRE(lost == SessionId(1));
  REQUIRE(f.transport.seen[1].session_id() == 2);
}

TEST_CASE("a new session knows what is open before anything is asked in it",
          "[client][meta_client]") {
  Fixture f;
  f.holds.Hold(InodeNumber(7), /*write=*/false);
  f.holds.Hold(InodeNumber(8), /*write=*/true);
  f.transport.script = {WithReason(absl::FailedPreconditionError("?"), Reason::kSessionUnknown)};
  REQUIRE(f.Mkdir().ok());
  REQUIRE(f.transport.told.size() == 1);
  REQUIRE(f.transport.mkdirs_before == 1);  // the one that was refused
  const wire::SessionHeartbeatRequest& told = f.transport.told[0];
  REQUIRE(told.session_id() == 2);
  REQUIRE(told.whole());
  REQUIRE(told.hold_version() == f.holds.version());
  REQUIRE(told.opened_size() == 1);
  REQUIRE(told.opened(0) == 7);
  REQUIRE(told.opened_write_size() == 1);
  REQUIRE(told.opened_write(0) == 8);
}

TEST_CASE("what belongs to one session is not done in the next", "[client][meta_client]") {
  Fixture f;
  REQUIRE(f.Mkdir(SessionId(1)).ok());
  f.transport.script = {WithReason(absl::FailedPreconditionError("?"), Reason::kSessionUnknown)};
  const absl::Status lost = f.Mkdir(SessionId(1));
  REQUIRE(ErrnoOf(lost) == EIO);
  REQUIRE(ReasonOf(lost) == Reason::kSessionUnknown);
  REQUIRE(f.transport.seen.size() == 2);
  REQUIRE(f.Mkdir(SessionId(1)) == lost);
  REQUIRE(f.transport.seen.size() == 2);
  REQUIRE(f.Mkdir().ok());
}

TEST_CASE("a mutation that may have happened is never repeated under a new session",
          "[client][meta_client]") {
  Fixture f;
  f.transport.script = {absl::DeadlineExceededError("late"),
                        WithReason(absl::FailedPreconditionError("?"), Reason::kSessionUnknown)};
  REQUIRE(ErrnoOf(f.Mkdir()) == EIO);
  REQUIRE(f.transport.seen.size() == 2);
}

}  // namespace
}  // namespace penstock::client
