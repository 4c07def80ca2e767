// AutoTransport between a real server and client: over TCP everywhere, over RDMA where there is a
// device.
#include "common/net/auto_transport.h"
#include "tests/common/net/rpc_fixture.h"

namespace penstock::net {
namespace {

// A server on AutoTransport and what it advertises.
struct AutoServer {
  explicit AutoServer(TransportMode mode) : transport({.mode = mode}) {
    static const std::unique_ptr<Transport> warm = NewTransport();
    RpcServerOptions options;
    options.credentials = TestCredentials();
    options.listen_host = ServerHost();
    server = std::make_unique<RpcServer>(&transport, options);
    REQUIRE(server->Start() == absl::OkStatus());
    Add("tcp", server->port());
    if (server->rdma_port() != 0) Add("rdma", server->rdma_port());
  }
  void Add(const char* name, uint16_t port) {
    wire::Address& address = addresses.emplace_back();
    address.set_host(ServerHost());
    address.set_port(port);
    address.set_transport(name);
  }
  AutoTransport transport;
  std::unique_ptr<RpcServer> server;
  std::vector<wire::Address> addresses;
};

RpcClientOptions AutoClientOptions() {
  RpcClientOptions options;
  options.credentials = TestCredentials();
  options.connect_timeout = absl::Seconds(20);
  return options;
}

absl::Status Ping(RpcClient& client) {
  return client.Call(wire::METHOD_PING, wire::PingRequest(), nullptr,
                     {.timeout = absl::Seconds(20), .interrupt = nullptr});
}

TEST_CASE("auto takes RDMA where both sides have it, else TCP, and says why", "[net][fallback]") {
  AutoServer server(TransportMode::kAuto);
  AutoTransport transport({.rdma_timeout = absl::Seconds(10)});
  RpcClient client(&transport, server.addresses, AutoClientOptions());
  REQUIRE(Ping(client) == absl::OkStatus());
  REQUIRE(client.transport_name() == (OverRdma() ? "rdma" : "tcp"));
  REQUIRE(server.server->rdma_connections() == (OverRdma() ? 1 : 0));
  REQUIRE(client.why_not_rdma() == (OverRdma() ? "" : "peer_has_none"));
  RpcClient tcp_only(&transport, {server.addresses[0]}, AutoClientOptions());
  REQUIRE(Ping(tcp_only) == absl::OkStatus());
  REQUIRE(tcp_only.transport_name() == "tcp");
  REQUIRE(tcp_only.why_not_rdma() == "peer_has_none");
}

TEST_CASE("where RDMA fails, TCP is taken at once, and RDMA tried again later", "[net][fallback]") {
  AutoServer server(TransportMode::kAuto);
  AutoTransport transport(
      {.rdma_timeout = absl::Seconds(10), .rdma_retry = absl::Milliseconds(300)});
  std::vector<wire::Address> wrong = {server.addresses[0], server.addresses[0]};
  wrong[1].set_transport("rdma");
  wrong[1].set_port(1);  // nobody listens there
  RpcClient client(&transport, wrong, AutoClientOptions());
  REQUIRE(Ping(client) == absl::OkStatus());
  REQUIRE(client.transport_name() == "tcp");
  REQUIRE(client.why_not_rdma() == (OverRdma() ? "refused" : "no_device"));
  REQUIRE(client.counters().connects == 1);
  client.SetAddresses(server.addresses);
  if (!OverRdma()) return;
  // The idle connection gives way, within a second.
  const absl::Duration end = SystemClock()->SinceBoot() + absl::Seconds(10);
  while (client.transport_name() != "rdma" && SystemClock()->SinceBoot() < end) {
    REQUIRE(Ping(client) == absl::OkStatus());
    absl::SleepFor(absl::Milliseconds(20));
  }
  REQUIRE(client.transport_name() == "rdma");
  REQUIRE(client.open_connections() == 1);
}

TEST_CASE("rdma takes nothing else; tcp leaves RDMA alone", "[net][fallback]") {
  AutoServer server(TransportMode::kAuto);
  AutoTransport rdma({.mode = TransportMode::kRdma});
  RpcClient only_rdma(&rdma, server.addresses, AutoClientOptions());
  const absl::Status status = Ping(only_rdma);
  INFO(status);
  REQUIRE(status.ok() == OverRdma());
  AutoTransport tcp({.mode = TransportMode::kTcp});
  RpcClient only_tcp(&tcp, server.addresses, AutoClientOptions());
  REQUIRE(Ping(only_tcp) == absl::OkStatus());
  REQUIRE(only_tcp.transport_name() == "tcp");
  REQUIRE(only_tcp.why_not_rdma().empty());

  AutoTransport must({.mode = TransportMode::kRdma});
  RpcServerOptions options;
  options.credentials = TestCredentials();
  options.listen_host = ServerHost();
  RpcServer other(&must, options);
  REQUIRE(other.Start().ok() == OverRdma());
}

// The RDMA half of a server goes away amid the work of many threads, and comes back.
TEST_CASE("connections that break are made again over what works, and no call is lost",
          "[net][fallback]") {
  auto server = std::make_unique<AutoServer>(TransportMode::kAuto);
  AutoTransport transport(
      {.rdma_timeout = absl::Seconds(10), .rdma_retry = absl::Milliseconds(300)});
  RpcClient client(&transport, server->addresses, AutoClientOptions());
  std::atomic<bool> done{false};
  std::atomic<int> answered{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!done) {
        const absl::Status status = Ping(client);
        if (status.ok()) ++answered;
        if (!status.ok() && !absl::IsUnavailable(status)) ++wrong;  // the caller repeats those
      }
    });
  }
  const auto more = [&](int count) {
    const int goal = answered + count;
    const absl::Duration end = SystemClock()->SinceBoot() + absl::Seconds(60);
    while (answered < goal && SystemClock()->SinceBoot() < end)
      absl::SleepFor(absl::Milliseconds(2));
    return answered >= goal;
  };
  CHECK(more(50));
  for (const TransportMode mode : {TransportMode::kTcp, TransportMode::kAuto}) {
    server->server->Stop(absl::Seconds(5));
    server = std::make_unique<AutoServer>(mode);
    client.SetAddresses(server->addresses);
    CHECK(more(50));
  }
  const absl::Duration end = SystemClock()->SinceBoot() + absl::Seconds(20);
  while (OverRdma() && client.transport_name() != "rdma" && SystemClock()->SinceBoot() < end) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  done = true;
  for (auto& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(client.transport_name() == (OverRdma() ? "rdma" : "tcp"));
}

}  // namespace
}  // namespace penstock::net
