// Locks through the service: sessions are checked, and their end is the end of their locks.
#include "metaserver/service/lock_service.h"

#include <catch2/catch.hpp>
#include <cerrno>

#include "common/net/rpc_client.h"
#include "common/net/tcp_transport.h"
#include "common/status.h"
#include "tests/metaserver/locks/locks_fixture.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

class InstantFence : public SessionFence {
 public:
  void Fence(SessionId, absl::AnyInvocable<void() &&> done) override { std::move(done)(); }
};

struct LockServiceFixture {
  LockServiceFixture() {
    const net::PeerCredentials credentials{*net::ClusterKey::FromHex(std::string(64, 'a')), "test"};
    net::RpcServerOptions server_options;
    server_options.credentials = credentials;
    server = std::make_unique<net::RpcServer>(&transport, server_options);
    service.Attach();
    fs.Report(fs.session());  // it was there before the table, as after a restart
    service.Register(*server);
    REQUIRE(server->Start().ok());
    wire::Address address;
    address.set_host("127.0.0.1");
    address.set_port(server->port());
    address.set_transport("tcp");
    net::RpcClientOptions client_options;
    client_options.credentials = credentials;
    client = std::make_unique<net::RpcClient>(&transport, std::vector<wire::Address>{address},
                                              client_options);
  }
  ~LockServiceFixture() { server->Stop(); }

  wire::SetLockRequest Request(SessionId session, wire::LockType type, uint64_t ticket = 0) {
    wire::SetLockRequest request;
    request.mutable_context()->set_session_id(session.value());
    request.mutable_context()->set_sequence(++sequence);
    request.mutable_lock()->set_ino(7);
    request.mutable_lock()->set_type(type);
    request.mutable_lock()->set_owner(5);
    request.mutable_lock()->set_end(9);
    request.set_wait(ticket != 0);
    request.set_ticket(ticket);
    return request;
  }
  absl::Status Set(const wire::SetLockRequest& request) {
    return client->Call(wire::METHOD_SET_LOCK, request, &response, {});
  }
  size_t Locks(SessionId session) { return table.CountsOf(session).locks; }

  NamespaceFixture fs;
  RecordedAnswers answers;
  FileLocks table{FileLocksOptions(), &answers};
  LockService service{&table, &fs.names().sessions()};
  net::TcpTransport transport;
  std::unique_ptr<net::RpcServer> server;
  std::unique_ptr<net::RpcClient> client;
  wire::SetLockResponse response;
  uint64_t sequence = 0;
};

}  // namespace

TEST_CASE("the lock methods work over the wire", "[metaserver][service][locks]") {
  LockServiceFixture f;
  const SessionId other = f.fs.OpenSession("node2");
  REQUIRE(f.Set(f.Request(f.fs.session(), wire::LOCK_TYPE_WRITE)).ok());
  REQUIRE(ErrnoOf(f.Set(f.Request(other, wire::LOCK_TYPE_READ))) == EAGAIN);
  REQUIRE(f.Set(f.Request(other, wire::LOCK_TYPE_READ, 3)).ok());
  REQUIRE(f.response.queued());

  wire::GetLockRequest get;
  *get.mutable_context() = f.Request(other, wire::LOCK_TYPE_READ).context();
  *get.mutable_lock() = f.Request(other, wire::LOCK_TYPE_READ).lock();
  wire::GetLockResponse got;
  REQUIRE(f.client->Call(wire::METHOD_GET_LOCK, get, &got, {}).ok());
  REQUIRE(got.conflict());
  REQUIRE(got.remote());

  wire::CancelLockRequest cancel;
  *cancel.mutable_context() = get.context();
  cancel.set_ino(7);
  cancel.set_ticket(3);
  wire::CancelLockResponse cancelled;
  REQUIRE(f.client->Call(wire::METHOD_CANCEL_LOCK, cancel, &cancelled, {}).ok());
  REQUIRE_FALSE(cancelled.granted());

  wire::ReleaseLocksRequest release;
  *release.mutable_context() = f.Request(f.fs.session(), wire::LOCK_TYPE_NONE).context();
  release.set_ino(7);
  release.set_owner(5);
  wire::EmptyResponse empty;
  REQUIRE(f.client->Call(wire::METHOD_RELEASE_LOCKS, release, &empty, {}).ok());
  REQUIRE(f.Locks(f.fs.session()) == 0);
  REQUIRE(f.answers.got.empty());
}

TEST_CASE("requests that make no sense are refused", "[metaserver][service][locks]") {
  LockServiceFixture f;
  wire::SetLockRequest request = f.Request(f.fs.session(), wire::LOCK_TYPE_WRITE);
  request.mutable_lock()->set_start(10);
  REQUIRE(ErrnoOf(f.Set(request)) == EINVAL);
  request = f.Request(f.fs.session(), wire::LOCK_TYPE_WRITE);
  request.set_wait(true);
  REQUIRE(absl::IsInvalidArgument(f.Set(request)));
  request = f.Request(f.fs.session(), wire::LOCK_TYPE_WRITE);
  request.mutable_context()->set_slot(99);
  REQUIRE(absl::IsInvalidArgument(f.Set(request)));
  request = f.Request(SessionId(999), wire::LOCK_TYPE_WRITE);
  REQUIRE(ReasonOf(f.Set(request)) == Reason::kSessionUnknown);
  REQUIRE(f.Locks(SessionId(999)) == 0);
}

TEST_CASE("a session that closes leaves its locks to who waits", "[metaserver][service][locks]") {
  LockServiceFixture f;
  const SessionId other = f.fs.OpenSession("node2");
  REQUIRE(f.Set(f.Request(other, wire::LOCK_TYPE_WRITE)).ok());
  REQUIRE(f.Set(f.Request(f.fs.session(), wire::LOCK_TYPE_WRITE, 3)).ok());
  REQUIRE(f.fs.names().sessions().CloseSession(other).ok());
  REQUIRE(f.answers.Take() == std::vector<RecordedAnswers::Got>{{f.fs.session().value(), 3, 0}});
  REQUIRE(f.Locks(other) == 0);
}

TEST_CASE("a silent session keeps its locks until somebody wants them",
          "[metaserver][service][locks]") {
  LockServiceFixture f;
  InstantFence fence;
  SessionTable& sessions = f.fs.names().sessions();
  const SessionId silent = f.fs.OpenSession("node2");
  REQUIRE(f.Set(f.Request(silent, wire::LOCK_TYPE_WRITE)).ok());
  f.fs.clock().Advance(absl::Seconds(30));
  f.fs.Report(f.fs.session());
  REQUIRE(sessions.Reap(fence).ok());
  REQUIRE(f.Locks(silent) == 1);

  const bool waits = GENERATE(false, true);
  const auto request = f.Request(f.fs.session(), wire::LOCK_TYPE_WRITE, waits ? 3 : 0);
  REQUIRE(ErrnoOf(f.Set(request)) == (waits ? 0 : EAGAIN));
  REQUIRE(sessions.Reap(fence).ok());
  REQUIRE(f.Locks(silent) == 0);
  REQUIRE(f.answers.Take().size() == (waits ? 1 : 0));
}

TEST_CASE("locks are presented with the first heartbeat after a restart",
          "[metaserver][service][locks]") {
  LockServiceFixture f;
  const SessionId other = f.fs.OpenSession("node2");
  FileLocks table(FileLocksOptions(), &f.answers);  // as a new process makes it
  LockService service(&table, &f.fs.names().sessions());
  service.Attach();
  REQUIRE(table.InGrace());
  f.fs.Report(f.fs.session());
  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(other.value());
  beat.set_whole(true);
  *beat.add_locks()->mutable_lock() = f.Request(other, wire::LOCK_TYPE_WRITE).lock();
  REQUIRE(f.fs.names().sessions().Heartbeat(beat, /*keeps_leases=*/true).ok());
  REQUIRE_FALSE(table.InGrace());
  REQUIRE(table.CountsOf(other).locks == 1);
}

TEST_CASE("a session's later client hears of the locks that it has",
          "[metaserver][service][locks]") {
  LockServiceFixture f;
  const SessionId other = f.fs.OpenSession("node2");
  REQUIRE(f.Set(f.Request(f.fs.session(), wire::LOCK_TYPE_WRITE)).ok());
  REQUIRE(f.Set(f.Request(other, wire::LOCK_TYPE_WRITE, 3)).ok());
  wire::ResumeSessionRequest resume;
  resume.set_client(2);
  wire::ResumeSessionResponse resumed;
  resume.set_session_id(f.fs.session().value());
  REQUIRE(f.fs.names().ResumeSession(resume, resumed).ok());
  REQUIRE(resumed.locks_size() == 1);
  REQUIRE(resumed.locks(0).SerializeAsString() ==
          f.Request(f.fs.session(), wire::LOCK_TYPE_WRITE).lock().SerializeAsString());
  wire::SetLockRequest late = f.Request(f.fs.session(), wire::LOCK_TYPE_NONE);
  late.mutable_context()->set_client(1);
  REQUIRE(ReasonOf(f.Set(late)) == Reason::kOldSequence);

  resume.set_session_id(other.value());
  resumed.Clear();
  REQUIRE(f.fs.names().ResumeSession(resume, resumed).ok());
  REQUIRE(resumed.locks().empty());
  REQUIRE(f.table.CountsOf(other).waiting == 0);
}

}  // namespace penstock::metaserver
