// A whole metaserver in this process, with chunkservers that are only messages.
#include "metaserver/wiring.h"

#include <sys/stat.h>
#include <catch2/catch.hpp>

#include "common/status.h"
#include "proto/admin.grpc.pb.h"
#include "tests/metaserver/cluster/cluster_fixture.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tls_files.h"

using namespace penstock;
using namespace penstock::metaserver;
using Catch::Contains;

namespace {

struct Fixture {
  Fixture() {
    options.dir = dir.path() + "/meta";
    options.port = 0;
    options.grpc_port = 0;
    options.key_file = dir.path() + "/cluster.key";
    options.tls = testing::MakeTlsFiles(dir.path());
    options.groups = 64;
    options.initial_targets = 3;
    REQUIRE(net::ClusterKey::Generate()->Save(options.key_file).ok());
  }
  void Start() {
    auto started = Metaserver::Start(options);
    INFO(started.status().ToString());
    REQUIRE(started.ok());
    server = *std::move(started);
    channel = *net::MakeChannel("127.0.0.1:" + std::to_string(server->grpc_port()), options.tls);
  }
  std::string Refusal() {
    auto started = Metaserver::Start(options);
    REQUIRE(!started.ok());
    return started.status().ToString();
  }
  wire::RegisterResponse Register(int number) {
    auto stub = wire::Cluster::NewStub(channel);
    grpc::ClientContext context;
    wire::RegisterResponse response;
    const grpc::Status status = stub->Register(&context, ChunkserverRequest(number), &response);
    INFO(status.error_message());
    REQUIRE(status.ok());
    return response;
  }
  wire::StatusResponse Status() {
    auto stub = wire::Admin::NewStub(channel);
    grpc::ClientContext context;
    wire::StatusResponse response;
    const grpc::Status status = stub->Status(&context, wire::StatusRequest(), &response);
    INFO(status.error_message());
    REQUIRE(status.ok());
    return response;
  }
  testing::TempDir dir;
  MetaserverOptions options;
  std::unique_ptr<Metaserver> server;
  std::shared_ptr<grpc::Channel> channel;
};

}  // namespace

TEST_CASE("a metaserver forms groups and keeps ids, epochs and map over a restart",
          "[metaserver][wiring]") {
  Fixture fixture;
  fixture.Start();
  const std::string id = fixture.server->cluster_id();
  fixture.Register(1);
  fixture.Register(2);
  REQUIRE_THAT(fixture.Status().problems(0), Contains("waiting for 3 targets, only 2"));
  const wire::ClusterMap before = fixture.Register(3).map();
  REQUIRE(before.groups_size() == 64);
  wire::StatusResponse status = fixture.Status();
  REQUIRE(status.cluster_id() == id);
  REQUIRE(status.targets_size() == 3);
  REQUIRE(status.groups(0).state() == "healthy");
  REQUIRE(status.problems().empty());
  REQUIRE(status.inodes() >= 1);

  fixture.server->Stop();
  fixture.server.reset();
  fixture.Start();
  REQUIRE(fixture.server->cluster_id() == id);
  const wire::RegisterResponse again = fixture.Register(3);
  REQUIRE(again.server_id() == 3);
  REQUIRE(again.target_ids(0) == 3);
  REQUIRE(again.map().SerializeAsString() == before.SerializeAsString());
}

TEST_CASE("admin verbs list targets, groups and clients and resolve paths",
          "[metaserver][wiring]") {
  Fixture fixture;
  fixture.Start();
  for (int s = 1; s <= 3; ++s) fixture.Register(s);
  auto stub = wire::Admin::NewStub(fixture.channel);
  {
    grpc::ClientContext context;
    wire::ListTargetsResponse targets;
    REQUIRE(stub->ListTargets(&context, {}, &targets).ok());
    REQUIRE(targets.targets(1).hostname() == "node2");
    REQUIRE(targets.targets(1).groups() > 30);
  }
  {
    grpc::ClientContext context;
    wire::ListGroupsResponse groups;
    REQUIRE(stub->ListGroups(&context, {}, &groups).ok());
    REQUIRE(groups.groups_size() == 64);
  }
  {
    grpc::ClientContext context;
    wire::ListClientsResponse clients;
    REQUIRE(stub->ListClients(&context, {}, &clients).ok());
    REQUIRE(clients.clients_size() == 0);
  }
  {
    grpc::ClientContext context;
    wire::StatPathRequest request;
    request.set_path("/");
    wire::StatPathResponse root;
    REQUIRE(stub->StatPath(&context, request, &root).ok());
    REQUIRE(S_ISDIR(root.entry().attr().mode()));
    REQUIRE(root.map().servers_size() == 3);
  }
  grpc::ClientContext context;
  wire::StatPathRequest request;
  request.set_path("/nothing/here");
  wire::StatPathResponse none;
  REQUIRE(ErrnoOf(net::FromGrpc(stub->StatPath(&context, request, &none))) == ENOENT);
}

TEST_CASE("a metaserver refuses what it must not start with", "[metaserver][wiring]") {
  Fixture fixture;
  SECTION("a key file that others may read") {
    chmod(fixture.options.key_file.c_str(), 0644);
    REQUIRE_THAT(fixture.Refusal(), Contains("chmod"));
  }
  SECTION("a missing TLS file") {
    fixture.options.tls.cert = fixture.dir.path() + "/none.crt";
    REQUIRE_THAT(fixture.Refusal(), Contains("none.crt"));
  }
  SECTION("settings out of range") {
    fixture.options.chunk_size = 3 * kMiB;
    REQUIRE_THAT(fixture.Refusal(), Contains("power of two"));
  }
  SECTION("no directory") {
    fixture.options.dir.clear();
    REQUIRE_THAT(fixture.Refusal(), Contains("--dir"));
  }
  SECTION("a directory of another cluster, a directory and ports in use") {
    fixture.Start();
    REQUIRE_THAT(fixture.Refusal(), Contains("another metaserver runs on"));
    MetaserverOptions first = fixture.options;
    fixture.options.dir += "2";
    fixture.options.port = fixture.server->rpc_port();
    REQUIRE_THAT(fixture.Refusal(), Contains("--port"));
    fixture.options.port = 0;
    fixture.options.grpc_port = fixture.server->grpc_port();
    REQUIRE_THAT(fixture.Refusal(), Contains("gRPC"));
    fixture.options = first;
    fixture.server.reset();
    fixture.options.cluster_id = "another";
    REQUIRE_THAT(fixture.Refusal(), Contains("belongs to cluster"));
  }
}
