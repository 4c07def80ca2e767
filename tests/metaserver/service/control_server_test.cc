// The gRPC side over a real socket: mutual TLS, health, reflection, refusals.
#include "metaserver/service/control_server.h"

#include <grpcpp/generic/generic_stub.h>
#include <catch2/catch.hpp>

#include <filesystem>

#include "common/file.h"
#include "common/status.h"
#include "metaserver/service/cluster_service.h"
#include "tests/metaserver/cluster/cluster_fixture.h"
#include "tests/testing/tls_files.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

struct Fixture {
  Fixture() : tls(testing::MakeTlsFiles(dir.path())), service(cluster.state.get()) {
    cluster.state->Start();
    auto started = ControlServer::Start({"127.0.0.1", 0, tls}, {&service});
    REQUIRE(started.ok());
    server = *std::move(started);
    address = "127.0.0.1:" + std::to_string(server->port());
  }
  std::shared_ptr<grpc::Channel> Channel(const net::TlsFiles& files) {
    auto channel = net::MakeChannel(address, files);
    REQUIRE(channel.ok());
    return *channel;
  }
  testing::TempDir dir;
  net::TlsFiles tls;
  ClusterFixture cluster;
  ClusterService service;
  std::unique_ptr<ControlServer> server;
  std::string address;
};

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
}

// One call of any method with raw bytes.
grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     const std::string& request, std::string* reply) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  SetDeadline(context);
  grpc::CompletionQueue queue;
  grpc::Slice slice(request);
  grpc::ByteBuffer buffer(&slice, 1), answer;
  grpc::Status status;
  auto call = stub.PrepareCall(&context, method, &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(nullptr);
  queue.Next(&tag, &ok);
  if (ok) {
    call->WriteLast(buffer, grpc::WriteOptions(), nullptr);
    queue.Next(&tag, &ok);
    call->Read(&answer, nullptr);
    queue.Next(&tag, &ok);
  }
  call->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  if (status.ok() && reply != nullptr) {
    std::vector<grpc::Slice> slices;
    if (answer.Dump(&slices).ok()) {
      for (const grpc::Slice& s : slices) {
        reply->append(reinterpret_cast<const char*>(s.begin()), s.size());
      }
    }
  }
  return status;
}

}  // namespace

TEST_CASE("chunkservers register and beat over gRPC, and hear map changes", "[metaserver][grpc]") {
  Fixture fixture;
  auto stub = wire::Cluster::NewStub(fixture.Channel(fixture.tls));
  wire::RegisterResponse registered;
  {
    grpc::ClientContext context;
    SetDeadline(context);
    REQUIRE(stub->Register(&context, ChunkserverRequest(1), &registered).ok());
  }
  REQUIRE(registered.server_id() == 1);
  REQUIRE(registered.heartbeat_ms() == 1000);

  grpc::ClientContext watch;
  SetDeadline(watch);
  auto stream = stub->WatchMap(&watch, wire::WatchMapRequest());
  wire::ClusterMap map;
  REQUIRE(stream->Read(&map));
  REQUIRE(map.since() == 0);
  REQUIRE(map.servers_size() == 1);
  fixture.cluster.Register(ChunkserverRequest(2));
  bool formed = false;
  while (!formed && stream->Read(&map)) formed = map.groups_size() == 64;
  REQUIRE(formed);
  REQUIRE(map.since() > 0);
  watch.TryCancel();
  REQUIRE(stream->Finish().error_code() == grpc::StatusCode::CANCELLED);

  grpc::ClientContext context;
  SetDeadline(context);
  wire::HeartbeatRequest beat;
  beat.set_server_id(1);
  beat.set_instance("instance-1");
  wire::HeartbeatResponse reply;
  REQUIRE(stub->Heartbeat(&context, beat, &reply).ok());
  REQUIRE(!reply.register_again());
  REQUIRE(reply.map_version() == map.version());
}

TEST_CASE("a refusal keeps its reason over gRPC", "[metaserver][grpc]") {
  Fixture fixture;
  auto stub = wire::Cluster::NewStub(fixture.Channel(fixture.tls));
  wire::RegisterRequest request = ChunkserverRequest(1);
  request.set_cluster_id("another");
  grpc::ClientContext context;
  SetDeadline(context);
  wire::RegisterResponse response;
  const absl::Status status = net::FromGrpc(stub->Register(&context, request, &response));
  REQUIRE(ReasonOf(status) == Reason::kWrongCluster);
}

TEST_CASE("nobody without a certificate of the cluster gets an answer", "[metaserver][grpc]") {
  Fixture fixture;
  testing::TempDir other;
  net::TlsFiles foreign = testing::MakeTlsFiles(other.path());
  foreign.ca_cert = fixture.tls.ca_cert;  // trusts our server, but shows another CA's certificate
  grpc::SslCredentialsOptions no_certificate;
  auto ca = ReadSmallFile(PosixFileSystem(), fixture.tls.ca_cert);
  REQUIRE(ca.ok());
  no_certificate.pem_root_certs = *ca;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride("penstock");
  for (const auto& channel :
       {fixture.Channel(foreign),
        grpc::CreateCustomChannel(fixture.address, grpc::SslCredentials(no_certificate), arguments),
        grpc::CreateChannel(fixture.address, grpc::InsecureChannelCredentials())}) {
    auto stub = wire::Cluster::NewStub(channel);
    grpc::ClientContext context;
    SetDeadline(context);
    wire::HeartbeatResponse reply;
    REQUIRE(stub->Heartbeat(&context, wire::HeartbeatRequest(), &reply).error_code() ==
            grpc::StatusCode::UNAVAILABLE);
  }
}

TEST_CASE("health and reflection answer", "[metaserver][grpc]") {
  Fixture fixture;
  const auto channel = fixture.Channel(fixture.tls);
  std::string reply;
  REQUIRE(CallRaw(channel, "/grpc.health.v1.Health/Check", "", &reply).ok());
  REQUIRE(reply == std::string("\x08\x01", 2));  // SERVING
  reply.clear();
  // ServerReflectionRequest{list_services = "*"} is field 7.
  REQUIRE(CallRaw(channel, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                  "\x3a\x01*", &reply)
              .ok());
  REQUIRE_THAT(reply, Catch::Contains("penstock.wire.Cluster"));
}

TEST_CASE("a server that restarts is found again within seconds", "[metaserver][grpc]") {
  Fixture fixture;
  auto stub = wire::Cluster::NewStub(fixture.Channel(fixture.tls));
  auto reached = [&] {
    grpc::ClientContext context;
    SetDeadline(context);
    wire::HeartbeatResponse reply;
    return stub->Heartbeat(&context, wire::HeartbeatRequest(), &reply).ok();
  };
  REQUIRE(reached());
  const uint16_t port = fixture.server->port();
  fixture.server->Stop();
  const absl::Time failed_at = absl::Now();
  REQUIRE(!reached());
  absl::SleepFor(absl::Seconds(1));  // long enough for the channel to have given up once
  REQUIRE(!reached());
  auto again = ControlServer::Start({"127.0.0.1", port, fixture.tls}, {&fixture.service});
  REQUIRE(again.ok());
  while (!reached() && absl::Now() - failed_at < absl::Seconds(15)) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  REQUIRE(absl::Now() - failed_at < absl::Seconds(15));
}

TEST_CASE("a port in use and a missing TLS file are refused with words", "[metaserver][grpc]") {
  Fixture fixture;
  auto second = ControlServer::Start({"127.0.0.1", fixture.server->port(), fixture.tls}, {});
  REQUIRE(ErrnoOf(second.status()) == EADDRINUSE);
  REQUIRE_THAT(std::string(second.status().message()), Catch::Contains("port in use"));
  std::filesystem::remove(fixture.tls.key);
  auto third = ControlServer::Start({"127.0.0.1", 0, fixture.tls}, {});
  REQUIRE_THAT(std::string(third.status().message()), Catch::Contains("TLS key"));
}
