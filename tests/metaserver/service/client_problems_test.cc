#include "metaserver/service/client_problems.h"

#include <catch2/catch.hpp>

namespace penstock::metaserver {
namespace {

wire::ClientInfo Client(uint64_t silent_ms, std::vector<uint32_t> slow) {
  wire::ClientInfo client;
  client.set_hostname("node1");
  client.set_mountpoint("/mnt");
  client.set_last_heartbeat_ms(silent_ms);
  client.set_stale(silent_ms >= 10'000);
  for (uint32_t server : {1, 2}) {
    wire::PeerTransport* peer = client.add_transports();
    peer->set_server_id(server);
    peer->set_slow(std::find(slow.begin(), slow.end(), server) != slow.end());
  }
  return client;
}

TEST_CASE("what clients see is said once for each server", "[metaserver][service]") {
  wire::ServerInfo server;
  server.mutable_server()->set_server_id(2);
  server.mutable_server()->set_hostname("disks2");
  REQUIRE(ClientProblems({Client(0, {})}, {server}).empty());
  const auto problems = ClientProblems(
      {Client(0, {2}), Client(100, {2}), Client(100, {}), Client(60'000, {1})}, {server});
  REQUIRE(problems.size() == 2);
  REQUIRE(problems[0].find("client node1:/mnt is silent for 60 s") == 0);
  REQUIRE(problems[1].find("server 2 (disks2) answers slowly: 2 of 3 clients read") == 0);
}

TEST_CASE("of a crowd of silent clients a few are named", "[metaserver][service]") {
  const std::vector<wire::ClientInfo> clients(100, Client(20'000, {}));
  const auto problems = ClientProblems(clients, {});
  REQUIRE(problems.size() == 9);
  REQUIRE(problems.back() == "and 92 more clients are silent: `penstock client ls` names them");
}

}  // namespace
}  // namespace penstock::metaserver
