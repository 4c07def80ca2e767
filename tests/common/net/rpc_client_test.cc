// The client's side of trouble: deadlines, interrupts, servers that go away or lie.
#include "tests/common/net/raw_peer.h"

namespace penstock::net {
namespace {

constexpr absl::Duration kSoon = absl::Milliseconds(50);

CallOptions Within(absl::Duration timeout, const Interrupt* interrupt = nullptr) {
  return {.timeout = timeout, .interrupt = interrupt};
}

TEST_CASE("a call without an answer ends at its deadline", "[net][client]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  const absl::Duration start = SystemClock()->SinceBoot();
  wire::EntryResponse response;
  REQUIRE(absl::IsDeadlineExceeded(
      client->Call(wire::METHOD_GETATTR, wire::GetattrRequest(), &response, Within(kSoon))));
  const absl::Duration took = SystemClock()->SinceBoot() - start;
  REQUIRE(took >= kSoon);
  REQUIRE(took < absl::Seconds(5));
  REQUIRE(client->open_connections() == 0);  // its reply may still come
  REQUIRE(RpcFixture::CallEcho(*client, "x") == absl::OkStatus());
  REQUIRE(absl::IsDeadlineExceeded(
      client->Call(wire::METHOD_PING, wire::PingRequest(), nullptr, Within(absl::ZeroDuration()))));
}

TEST_CASE("an interrupt ends a waiting call with EINTR, and stays fired", "[net][client]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  Interrupt interrupt;
  std::thread other([&] {
    fixture.WaitForParked(1);
    interrupt.Fire();
  });
  wire::EntryResponse response;
  absl::Status status = client->Call(wire::METHOD_GETATTR, wire::GetattrRequest(), &response,
                                     Within(absl::Seconds(20), &interrupt));
  other.join();
  REQUIRE(absl::IsCancelled(status));
  REQUIRE(ErrnoOf(status) == EINTR);
  REQUIRE(interrupt.fired());
  status = client->Call(wire::METHOD_PING, wire::PingRequest(), nullptr,
                        Within(absl::Seconds(20), &interrupt));
  REQUIRE(ErrnoOf(status) == EINTR);
}

TEST_CASE("waiting for a connection ends by deadline, interrupt, or a free one", "[net][client]") {
  RpcFixture fixture;
  RpcClientOptions options;
  options.max_connections = 1;
  auto client = fixture.NewClient(options);
  auto busy = client->Start(wire::METHOD_GETATTR, wire::GetattrRequest(), {});
  REQUIRE(busy.ok());
  REQUIRE(absl::IsDeadlineExceeded(
      client->Call(wire::METHOD_PING, wire::PingRequest(), nullptr, Within(kSoon))));
  Interrupt interrupt;
  std::thread firing([&] { interrupt.Fire(); });
  REQUIRE(ErrnoOf(client->Call(wire::METHOD_PING, wire::PingRequest(), nullptr,
                               Within(absl::Seconds(20), &interrupt))) == EINTR);
  firing.join();
  std::vector<std::thread> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back([&] { INVARIANT(RpcFixture::CallEcho(*client, "waited").ok()); });
  }
  fixture.WaitForParked(1);
  fixture.AnswerParked();
  wire::EntryResponse response;
  REQUIRE(busy->Finish(&response) == absl::OkStatus());
  for (auto& t : waiting) t.join();
  REQUIRE(client->open_connections() == 1);
  REQUIRE(fixture.server->counters().accepted == 1);
}

TEST_CASE("a failed connection's place goes to whoever waits", "[net][client]") {
  RpcFixture fixture;
  RpcClientOptions options;
  options.max_connections = 1;
  auto client = fixture.NewClient(options);
  auto busy = std::make_unique<PendingCall>(
      *client->Start(wire::METHOD_GETATTR, wire::GetattrRequest(), {}));
  std::thread waiting([&] { INVARIANT(RpcFixture::CallEcho(*client, "waited").ok()); });
  while (client->counters().waits_for_connection == 0) std::this_thread::yield();
  busy.reset();  // abandoned without a reply: closed
  waiting.join();
  REQUIRE(client->open_connections() == 1);
}

TEST_CASE("an abandoned call whose reply is here already is drained", "[net][client]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  {
    auto call = client->Start(wire::METHOD_PING, wire::PingRequest(), {});
    REQUIRE(call.ok());
    while (fixture.server->counters().requests == 0) std::this_thread::yield();
    absl::SleepFor(absl::Milliseconds(20));  // let the reply arrive; either way must be right
  }
  REQUIRE(RpcFixture::CallEcho(*client, "mine") == absl::OkStatus());
  REQUIRE(client->counters().abandoned == 1);
}

TEST_CASE("idle connections are closed", "[net][client]") {
  RpcFixture fixture;
  RpcClientOptions options;
  options.idle_close = absl::Milliseconds(1);
  auto client = fixture.NewClient(options);
  REQUIRE(RpcFixture::CallEcho(*client, "x") == absl::OkStatus());
  absl::SleepFor(absl::Milliseconds(5));
  client->CloseIdle();
  REQUIRE(client->open_connections() == 0);
}

TEST_CASE("a call may outlive its client", "[net][client]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  auto call = client->Start(wire::METHOD_PING, wire::PingRequest(), {});
  REQUIRE(call.ok());
  client.reset();
  wire::PingResponse response;
  REQUIRE(call->Finish(&response) == absl::OkStatus());
}

TEST_CASE("a client finds its server again after a restart", "[net][client]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  for (int round = 0; round < 5; ++round) {
    REQUIRE(RpcFixture::CallEcho(*client, "x") == absl::OkStatus());
    RpcServerOptions options;
    options.port = fixture.server->port();
    fixture.StopServer();
    const absl::Status down = RpcFixture::CallEcho(*client, "x");
    REQUIRE(absl::IsUnavailable(down));
    fixture.StartServer(options);
  }
}

TEST_CASE("the second address is used when the first is dead", "[net][client]") {
  RpcFixture fixture;
  auto addresses = fixture.Addresses();
  wire::Address dead = addresses[0], other = addresses[0];
  dead.set_port(1);
  other.set_transport(OverRdma() ? "tcp" : "rdma");
  RpcClientOptions options;
  options.credentials = TestCredentials();
  RpcClient client(&fixture.transport, {dead, other, addresses[0]}, options);
  REQUIRE(RpcFixture::CallEcho(client, "x") == absl::OkStatus());
  RpcClient none(&fixture.transport, {other}, options);
  REQUIRE(absl::IsUnavailable(RpcFixture::CallEcho(none, "x")));
  none.SetAddresses(addresses);
  REQUIRE(RpcFixture::CallEcho(none, "x") == absl::OkStatus());
}

TEST_CASE("stop lets calls under way finish and cuts the rest", "[net][client]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  SECTION("finished in time") {
    auto call = client->Start(wire::METHOD_GETATTR, wire::GetattrRequest(), {});
    REQUIRE(call.ok());
    fixture.WaitForParked(1);
    std::thread stop([&] { fixture.server->Stop(absl::Seconds(20)); });
    absl::SleepFor(absl::Milliseconds(20));
    fixture.AnswerParked();
    wire::EntryResponse response;
    REQUIRE(call->Finish(&response) == absl::OkStatus());
    stop.join();
  }
  SECTION("not finished in time") {
    auto call = client->Start(wire::METHOD_GETATTR, wire::GetattrRequest(), {});
    REQUIRE(call.ok());
    fixture.WaitForParked(1);
    fixture.server->Stop(absl::Milliseconds(20));
    wire::EntryResponse response;
    REQUIRE(absl::IsUnavailable(call->Finish(&response)));
    {
      absl::MutexLock lock(&fixture.mu);
      REQUIRE_FALSE(fixture.parked[0]->context().connection_alive());
    }
    fixture.AnswerParked();  // into the void
  }
  REQUIRE(fixture.server->connections() == 0);
}

// A server that accepts one connection and says `script`, reading nothing but what it must.
// Its thread uses INVARIANT: Catch2 takes assertions from the test's own thread only.
class LyingServer {
 public:
  explicit LyingServer(std::function<void(Link&)> script) {
    listener_ = *transport_->Listen(ServerHost(), 0);
    thread_ = std::thread([this, script = std::move(script)] {
      INVARIANT(WaitFor(listener_->fd(), POLLIN, In(absl::Seconds(10))).ok());
      auto link = listener_->Accept();
      INVARIANT(link.ok());
      script(**link);
    });
  }
  ~LyingServer() { thread_.join(); }

  absl::Status Call(size_t into_bytes = 100) {
    wire::Address address;
    address.set_host(ServerHost());
    address.set_port(listener_->port());
    RpcClientOptions options;
    options.credentials = TestCredentials();
    RpcClient client(transport_.get(), {address}, options);
    std::string into(into_bytes, '\0');
    const iovec in = Piece(into);
    wire::GetxattrResponse response;
    return client.Call(wire::METHOD_GETXATTR, wire::GetxattrRequest(), &response,
                       Within(absl::Seconds(10)), {}, {&in, 1});
  }

  static void Receive(Link& link) {
    link.SetLimits({1 << 20, 1 << 20});
    while (true) {
      auto progress = link.ReceiveHead();
      if (!progress.ok()) return;  // the client gave up first
      if (*progress == Progress::kDone) return;
      if (!AwaitReceive(link, absl::Seconds(10)).ok()) return;
    }
  }
  static void Send(Link& link, std::string bytes) {
    OutgoingFrame frame;
    frame.head = std::move(bytes);
    (void)link.Send(&frame);
  }
  static std::string ReplyTo(const Link& link, std::string_view message, uint32_t payload = 0) {
    FrameHeader header;
    header.kind = FrameKind::kReply;
    header.method = link.header().method;
    header.request_id = link.header().request_id;
    header.payload_bytes = payload;
    return EncodeFrame(header, message);
  }
  // The server's part of the handshake with the right key, then the request is read.
  static void Welcome(Link& link) {
    const PeerCredentials credentials = TestCredentials();
    ServerHandshake handshake(&credentials, RandomNonce());
    while (!handshake.authenticated()) {
      Receive(link);
      auto answer = handshake.OnRequest(link.header().method, link.message());
      INVARIANT(answer.ok());
      Send(link, ReplyTo(link, *answer));
      INVARIANT(link.NextFrame().ok());
    }
    Receive(link);
  }

 private:
  const std::unique_ptr<Transport> transport_ = NewTransport();
  std::unique_ptr<Listener> listener_;
  std::thread thread_;
};

TEST_CASE("a server that cannot prove the key is refused", "[net][client]") {
  LyingServer server([](Link& link) {
    LyingServer::Receive(link);
    wire::HelloReply hello;
    hello.set_protocol_version(1);
    hello.set_nonce(RandomNonce());
    LyingServer::Send(link, LyingServer::ReplyTo(link, hello.SerializeAsString()));
    INVARIANT(link.NextFrame().ok());
    LyingServer::Receive(link);
    wire::ProveReply proof;
    proof.set_proof(std::string(32, 'x'));
    LyingServer::Send(link, LyingServer::ReplyTo(link, proof.SerializeAsString()));
    LyingServer::Receive(link);  // no request follows: the client left
  });
  const absl::Status status = server.Call();
  REQUIRE(absl::IsUnauthenticated(status));
  REQUIRE(ReasonOf(status) == Reason::kAuthentication);
}

TEST_CASE("a server that dies at any step is UNAVAILABLE", "[net][client]") {
  SECTION("after accept") {
    REQUIRE(absl::IsUnavailable(LyingServer([](Link&) {}).Call()));
  }
  SECTION("after hello") {
    LyingServer server([](Link& link) { LyingServer::Receive(link); });
    REQUIRE(absl::IsUnavailable(server.Call()));
  }
  SECTION("after the request") {
    LyingServer server([](Link& link) { LyingServer::Welcome(link); });
    REQUIRE(absl::IsUnavailable(server.Call()));
  }
  for (size_t cut : {1, 47, 48, 52}) {
    DYNAMIC_SECTION("after " << cut << " bytes of the reply") {
      LyingServer server([cut](Link& link) {
        LyingServer::Welcome(link);
        const std::string reply = LyingServer::ReplyTo(link, "", 10) + "0123456789";
        LyingServer::Send(link, reply.substr(0, cut));
      });
      REQUIRE(absl::IsUnavailable(server.Call()));
    }
  }
}

TEST_CASE("replies that make no sense are UNAVAILABLE and never believed", "[net][client]") {
  std::function<std::string(const Link&)> reply;
  SECTION("garbage") {
    reply = [](const Link&) { return Pattern(200); };
  }
  SECTION("a wrong checksum") {
    reply = [](const Link& link) {
      std::string frame = LyingServer::ReplyTo(link, "");
      frame[44] = static_cast<char>(frame[44] + 1);
      return frame;
    };
  }
  SECTION("the reply to another request") {
    reply = [](const Link&) { return EncodeReply({wire::METHOD_GETXATTR, 77}, {}, nullptr, 0); };
  }
  SECTION("a request") {
    reply = [](const Link& link) {
      return RawPeer::Frame(wire::METHOD_GETXATTR, "", 0, link.header().request_id);
    };
  }
  SECTION("an error with a payload") {
    reply = [](const Link& link) {
      FrameHeader header;
      header.kind = FrameKind::kReply;
      header.request_id = link.header().request_id;
      header.code = 5;
      header.payload_bytes = 1;
      return EncodeFrame(header, std::string_view()) + "x";
    };
  }
  LyingServer server([&](Link& link) {
    LyingServer::Welcome(link);
    LyingServer::Send(link, reply(link));
  });
  const absl::Status status = server.Call();
  INFO(status);
  REQUIRE(absl::IsUnavailable(status));
}

TEST_CASE("a refusal in the handshake keeps its reason", "[net][client]") {
  LyingServer server([](Link& link) {
    LyingServer::Receive(link);
    LyingServer::Send(
        link, EncodeReply({0, 0, true},
                          WithReason(absl::FailedPreconditionError("no"), Reason::kWrongCluster),
                          nullptr, 0));
  });
  REQUIRE(ReasonOf(server.Call()) == Reason::kWrongCluster);
}

TEST_CASE("a server of another protocol version is named as such", "[net][client]") {
  LyingServer server([](Link& link) {
    LyingServer::Receive(link);
    std::string frame = LyingServer::ReplyTo(link, "");
    frame[4] = 9;
    LyingServer::Send(link, frame);
  });
  const absl::Status status = server.Call();
  REQUIRE(ReasonOf(status) == Reason::kProtocolVersion);
  REQUIRE_FALSE(IsRetryable(status));
}

}  // namespace
}  // namespace penstock::net
