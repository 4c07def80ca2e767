// What a server does with peers that break the rules.
#include <sys/resource.h>
#include <unistd.h>

#include <random>

#include "tests/common/net/raw_peer.h"

namespace penstock::net {
namespace {

bool WaitUntil(const std::function<bool()>& condition) {
  const absl::Duration end = SystemClock()->SinceBoot() + absl::Seconds(10);
  while (!condition()) {
    if (SystemClock()->SinceBoot() > end) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

TEST_CASE("before the proof a server answers nothing but a refusal", "[net][hostile]") {
  RpcFixture fixture;
  for (int method : {+wire::METHOD_PING, +wire::METHOD_GETXATTR, +wire::METHOD_PROVE, 9999}) {
    RawPeer peer(fixture.Addresses()[0]);
    REQUIRE(peer.SendBytes(RawPeer::Frame(static_cast<uint16_t>(method), "")));
    const absl::Status status = peer.ReadStatus();
    REQUIRE(absl::IsUnauthenticated(status));
    REQUIRE(ReasonOf(status) == Reason::kAuthentication);
    REQUIRE(peer.ClosedByServer());
  }
  REQUIRE(fixture.handled == 0);
}

TEST_CASE("wrong key, cluster and version are refused with their reasons", "[net][hostile]") {
  RpcFixture fixture;
  const auto refusal = [&](PeerCredentials credentials) {
    RpcClientOptions options;
    options.credentials = std::move(credentials);
    auto client = fixture.NewClient(options);
    absl::Status status = RpcFixture::CallEcho(*client, "x");
    REQUIRE(client->open_connections() == 0);
    return status;
  };
  PeerCredentials wrong_key = TestCredentials(), wrong_cluster = TestCredentials();
  wrong_key.key = *ClusterKey::Generate();
  wrong_cluster.cluster_id = "another";
  REQUIRE(ReasonOf(refusal(wrong_key)) == Reason::kAuthentication);
  REQUIRE(ReasonOf(refusal(wrong_cluster)) == Reason::kWrongCluster);
  REQUIRE_FALSE(IsRetryable(refusal(wrong_cluster)));
  REQUIRE(fixture.handled == 0);
  REQUIRE(fixture.server->counters().refused_handshakes == 3);

  RawPeer peer(fixture.Addresses()[0]);
  std::string frame = RawPeer::Frame(wire::METHOD_HELLO, "");
  frame[4] = 2;
  REQUIRE(peer.SendBytes(frame));
  REQUIRE(ReasonOf(peer.ReadStatus()) == Reason::kProtocolVersion);
  REQUIRE(peer.ClosedByServer());
}

TEST_CASE("before the proof messages are limited to 1 KiB", "[net][hostile]") {
  RpcFixture fixture;
  RawPeer peer(fixture.Addresses()[0]);
  REQUIRE(peer.SendBytes(RawPeer::Frame(wire::METHOD_HELLO, std::string(1025, 'x'))));
  REQUIRE(ReasonOf(peer.ReadStatus()) == Reason::kMessageTooLarge);
  REQUIRE(peer.ClosedByServer());
  RawPeer with_payload(fixture.Addresses()[0]);
  REQUIRE(with_payload.SendBytes(RawPeer::Frame(wire::METHOD_HELLO, "", 1) + "p"));
  REQUIRE(ReasonOf(with_payload.ReadStatus()) == Reason::kMessageTooLarge);
}

TEST_CASE("garbage closes the connection without an answer", "[net][hostile]") {
  RpcFixture fixture;
  for (uint32_t seed = 1; seed <= 50; ++seed) {
    RawPeer peer(fixture.Addresses()[0]);
    if (seed % 2 == 0) peer.Authenticate();
    peer.SendBytes(Pattern(48 + seed * 10, seed));
    INFO("seed " << seed);
    REQUIRE(peer.ClosedByServer());
  }
  auto client = fixture.NewClient();
  REQUIRE(RpcFixture::CallEcho(*client, "x") == absl::OkStatus());
}

TEST_CASE("a corrupted checksum closes the connection and reaches no handler", "[net][hostile]") {
  RpcFixture fixture;
  wire::GetxattrRequest request;
  request.set_name("name");
  const std::string good = RawPeer::Frame(wire::METHOD_GETXATTR, request.SerializeAsString());
  for (size_t at : {size_t{6}, size_t{44}, size_t{48}, good.size() - 1}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    RawPeer peer(fixture.Addresses()[0]);
    peer.Authenticate();
    REQUIRE(peer.SendBytes(bad));
    REQUIRE(peer.ClosedByServer());
  }
  REQUIRE(fixture.handled == 0);
}

TEST_CASE("a mutated frame never kills the server", "[net][hostile]") {
  RpcFixture fixture;
  wire::GetxattrRequest request;
  request.set_name("name");
  std::mt19937 random(42);
  for (int i = 0; i < 300; ++i) {
    std::string frame = RawPeer::Frame(wire::METHOD_GETXATTR, request.SerializeAsString());
    for (int flips = 1 + static_cast<int>(random() % 3); flips > 0; --flips) {
      frame[random() % frame.size()] = static_cast<char>(random());
    }
    RawPeer peer(fixture.Addresses()[0]);
    if (i % 3 != 0) peer.Authenticate();
    peer.SendBytes(frame);
  }
  auto client = fixture.NewClient();
  REQUIRE(RpcFixture::CallEcho(*client, "x") == absl::OkStatus());
  REQUIRE(WaitUntil([&] { return fixture.server->connections() == 1; }));
}

TEST_CASE("too large a message or payload is EMSGSIZE, then the connection closes",
          "[net][hostile]") {
  RpcServerOptions options;
  options.max_message_bytes = 10'000;
  options.max_payload_bytes = 100'000;
  RpcFixture fixture(options);
  auto client = fixture.NewClient();
  wire::GetxattrRequest large;
  large.set_name(std::string(20'000, 'n'));
  wire::GetxattrResponse response;
  absl::Status status = client->Call(wire::METHOD_GETXATTR, large, &response, {});
  REQUIRE(ErrnoOf(status) == EMSGSIZE);
  REQUIRE(ReasonOf(status) == Reason::kMessageTooLarge);
  // Far more than the sockets hold: the client is still sending when the refusal comes.
  for (size_t size : {100'001, 32 << 20}) {
    status = RpcFixture::CallEcho(*client, std::string(size, 'p'));
    INFO(status);
    REQUIRE(ErrnoOf(status) == EMSGSIZE);
    REQUIRE(ReasonOf(status) == Reason::kMessageTooLarge);
  }
  REQUIRE(client->open_connections() == 0);
  REQUIRE(RpcFixture::CallEcho(*client, std::string(100'000, 'p')) == absl::OkStatus());
}

TEST_CASE("who does not prove in time is closed; who is idle too long as well", "[net][hostile]") {
  RpcServerOptions options;
  options.handshake_timeout = absl::Milliseconds(60);
  options.idle_timeout = absl::Milliseconds(150);
  RpcFixture fixture(options);
  RawPeer silent(fixture.Addresses()[0]);
  RawPeer trickling(fixture.Addresses()[0]);
  REQUIRE(trickling.SendBytes("PSTK"));
  REQUIRE(silent.ClosedByServer());
  REQUIRE(trickling.ClosedByServer());
  RawPeer idle(fixture.Addresses()[0]);
  idle.Authenticate();
  REQUIRE(idle.ClosedByServer());
  // A client of ours notices that its pooled connection went, and makes a new one.
  auto client = fixture.NewClient();
  REQUIRE(RpcFixture::CallEcho(*client, "x") == absl::OkStatus());
  REQUIRE(WaitUntil([&] { return fixture.server->connections() == 0; }));
  REQUIRE(RpcFixture::CallEcho(*client, "x") == absl::OkStatus());
  REQUIRE(client->counters().stale_connections == 1);
}

TEST_CASE("a peer that leaves at any byte of a request does no harm", "[net][hostile]") {
  RpcFixture fixture;
  wire::GetxattrRequest request;
  request.set_name("name");
  const std::string frame =
      RawPeer::Frame(wire::METHOD_GETXATTR, request.SerializeAsString(), 10) + "0123456789";
  for (size_t cut = 0; cut < frame.size(); ++cut) {
    RawPeer peer(fixture.Addresses()[0]);
    peer.Authenticate();
    REQUIRE(peer.SendBytes(frame.substr(0, cut)));
  }
  REQUIRE(WaitUntil([&] { return fixture.server->connections() == 0; }));
  REQUIRE(fixture.handled == 0);
}

TEST_CASE("a peer that sends byte by byte is served", "[net][hostile]") {
  RpcFixture fixture;
  RawPeer peer(fixture.Addresses()[0]);
  peer.Authenticate();
  wire::GetxattrRequest request;
  request.set_name("name");
  for (char c :
       RawPeer::Frame(wire::METHOD_GETXATTR, request.SerializeAsString(), 10) + "0123456789") {
    REQUIRE(peer.SendBytes(std::string(1, c)));
  }
  REQUIRE(peer.Receive() == absl::OkStatus());
  REQUIRE(peer.link().header().payload_bytes == 10);
}

TEST_CASE("pipelined requests are answered each, many more than may be in flight",
          "[net][hostile]") {
  RpcServerOptions options;
  options.max_in_flight_per_connection = 4;
  RpcFixture fixture(options);
  RawPeer peer(fixture.Addresses()[0]);
  peer.Authenticate();
  std::string all;
  for (uint64_t id = 1; id <= 500; ++id) {
    all += RawPeer::Frame(wire::METHOD_PING, "", 0, id);
  }
  REQUIRE(peer.SendBytes(all));
  // Two in one segment: the second's head is whole when the first is left, with no byte behind it.
  REQUIRE(peer.SendBytes(RawPeer::Frame(wire::METHOD_PING, "", 0, 501) +
                         RawPeer::Frame(wire::METHOD_PING, "", 0, 502)));
  for (uint64_t id = 1; id <= 502; ++id) {
    REQUIRE(peer.Receive() == absl::OkStatus());
    REQUIRE(peer.link().header().request_id == id);
    REQUIRE(peer.link().NextFrame() == absl::OkStatus());
  }
}

TEST_CASE("no more calls of one connection run at once than allowed", "[net][hostile]") {
  RpcServerOptions options;
  options.max_in_flight_per_connection = 3;
  RpcFixture fixture(options);
  RawPeer peer(fixture.Addresses()[0]);
  peer.Authenticate();
  std::string all;
  for (uint64_t id = 1; id <= 10; ++id) all += RawPeer::Frame(wire::METHOD_GETATTR, "", 0, id);
  REQUIRE(peer.SendBytes(all));
  for (size_t answered = 0; answered < 10;) {
    fixture.WaitForParked(1);
    {
      absl::MutexLock lock(&fixture.mu);
      REQUIRE(fixture.parked.size() <= 3);
    }
    answered += fixture.AnswerParked();
  }
  for (int i = 0; i < 10; ++i) {
    REQUIRE(peer.Receive() == absl::OkStatus());
    REQUIRE(peer.link().NextFrame() == absl::OkStatus());
  }
}

TEST_CASE("payload memory is bounded: others wait until some is free", "[net][hostile]") {
  RpcServerOptions options;
  options.max_payload_bytes = 1 << 20;
  options.payload_memory_bytes = 3 << 19;  // one and a half
  RpcFixture fixture(options);
  // Holds 1 MiB of the memory while its call is parked.
  RawPeer holder(fixture.Addresses()[0]);
  holder.Authenticate();
  REQUIRE(holder.SendBytes(RawPeer::Frame(wire::METHOD_GETATTR, "", 1 << 20) +
                           std::string(1 << 20, 'x')));
  fixture.WaitForParked(1);
  auto client = fixture.NewClient();
  REQUIRE(absl::IsDeadlineExceeded(
      RpcFixture::CallEcho(*client, std::string(1 << 20, 'y'), nullptr,
                           {.timeout = absl::Milliseconds(100), .interrupt = nullptr})));
  REQUIRE(fixture.server->counters().memory_waits == 1);
  // Calls without a payload go on.
  REQUIRE(client->Call(wire::METHOD_PING, wire::PingRequest(), nullptr, {}) == absl::OkStatus());
  // What a chunkserver forwards does not wait: the memory may be held by writes that wait for it.
  RpcClientOptions as_chunkserver;
  as_chunkserver.credentials = TestCredentials();
  as_chunkserver.role = wire::ROLE_CHUNKSERVER;
  RpcClient chunkserver(&fixture.transport, fixture.Addresses(), as_chunkserver);
  REQUIRE(RpcFixture::CallEcho(chunkserver, std::string(1 << 20, 'c')) == absl::OkStatus());
  std::thread waiting(
      [&] { INVARIANT(RpcFixture::CallEcho(*client, std::string(1 << 20, 'z')).ok()); });
  REQUIRE(WaitUntil([&] { return fixture.server->counters().memory_waits == 2; }));
  fixture.AnswerParked();
  waiting.join();
}

TEST_CASE("more connections than allowed are turned away, clearly", "[net][hostile]") {
  RpcServerOptions options;
  options.max_connections = 2;
  RpcFixture fixture(options);
  auto first = std::make_unique<RawPeer>(fixture.Addresses()[0]);
  first->Authenticate();
  RawPeer second(fixture.Addresses()[0]);
  second.Authenticate();
  RawPeer third(fixture.Addresses()[0]);
  const absl::Status status = third.ReadStatus();
  REQUIRE(absl::IsUnavailable(status));
  REQUIRE(status.message() == "server has too many connections");
  first.reset();
  REQUIRE(WaitUntil([&] { return fixture.server->connections() == 1; }));
  auto client = fixture.NewClient();
  REQUIRE(RpcFixture::CallEcho(*client, "x") == absl::OkStatus());
}

TEST_CASE("out of descriptors, accepting pauses instead of spinning, and goes on",
          "[net][hostile]") {
  if (OverRdma()) return;  // its connections need no descriptor of the listening side first
  RpcServerOptions options;
  options.handshake_timeout = absl::Milliseconds(400);  // the tick is half of it
  RpcFixture fixture(options);
  // The lowest free number: with the limit just above it, the client's socket is the last.
  const int lowest = dup(0);
  REQUIRE(lowest >= 0);
  close(lowest);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(lowest) + 1;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  auto peer = std::make_unique<RawPeer>(fixture.Addresses()[0]);
  const bool paused =
      WaitUntil([&] { return fixture.server->counters().accept_pauses.load() >= 2; });
  const uint64_t pauses = fixture.server->counters().accept_pauses;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(paused);
  REQUIRE(pauses < 10);
  peer->Authenticate();
}

TEST_CASE("a peer that does not read its replies stops only itself", "[net][hostile]") {
  RpcServerOptions options;
  options.max_in_flight_per_connection = 3;  // so that reading pauses, and goes on
  RpcFixture fixture(options);
  RawPeer slow(fixture.Addresses()[0]);
  slow.Authenticate();
  // 40 echoes of 1 MiB are far more than the sockets hold.
  std::thread sender([&] {
    for (uint64_t id = 1; id <= 40; ++id) {
      if (!slow.SendBytes(RawPeer::Frame(wire::METHOD_GETXATTR, "", 1 << 20, id) +
                          std::string(1 << 20, 'x'))) {
        return;
      }
    }
  });
  auto client = fixture.NewClient();
  for (int i = 0; i < 50; ++i) {
    REQUIRE(RpcFixture::CallEcho(*client, std::string(100'000, 'f')) == absl::OkStatus());
  }
  std::string into(1 << 20, '\0');
  int replies = 0;
  for (; replies < 40 && slow.Receive(absl::Seconds(3)).ok(); ++replies) {
    IncomingPayload payload;
    payload.into.push_back(Piece(into));
    while (*slow.link().ReceivePayload(&payload) == Progress::kAgain) {
      REQUIRE(AwaitReceive(slow.link(), absl::Seconds(5)).ok());
    }
    REQUIRE(into[12345] == 'x');
    REQUIRE(slow.link().NextFrame() == absl::OkStatus());
  }
  sender.join();
  REQUIRE(replies == 40);
}

}  // namespace
}  // namespace penstock::net
