// The whole metadata service over loopback TCP, with a map and a space of the test's own.
#include "metaserver/service/meta_service.h"

#include <catch2/catch.hpp>

#include "common/net/rpc_client.h"
#include "common/net/tcp_transport.h"
#include "common/status.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

class FakeSources : public MapSource, public SpaceSource {
 public:
  uint64_t version() const override { return 7; }
  void GetMap(uint64_t known_version, absl::Duration,
              absl::AnyInvocable<void(wire::ClusterMap) &&> answer) override {
    wire::ClusterMap map;
    map.set_version(7);
    map.set_since(known_version);
    std::move(answer)(map);
  }
  ClusterSpace Space() const override { return {100, 60, 50}; }
};

struct ServiceFixture {
  ServiceFixture() {
    credentials.key = *net::ClusterKey::FromHex(std::string(64, 'a'));
    credentials.cluster_id = "test";
    net::RpcServerOptions server_options;
    server_options.credentials = credentials;
    server = std::make_unique<net::RpcServer>(&transport, server_options);
    MetaServiceOptions options;
    options.cluster_id = "test";
    options.instance = "one";
    options.workers = 2;
    service = std::make_unique<MetaService>(options, &fs.names(), &sources, &sources);
    service->Register(*server);
    service->Start();
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
  ~ServiceFixture() {
    server->Stop();
    service->Stop();
  }
  template <typename Request, typename Response>
  absl::Status Call(wire::Method method, Request& request, Response& response) {
    return client->Call(method, request, &response, {});
  }

  NamespaceFixture fs{Paths{"/data/", "/file"}};
  FakeSources sources;
  net::PeerCredentials credentials;
  net::TcpTransport transport;
  std::unique_ptr<net::RpcServer> server;
  std::unique_ptr<MetaService> service;
  std::unique_ptr<net::RpcClient> client;
};

}  // namespace

TEST_CASE("a client opens a session, works and closes it", "[metaserver][service]") {
  ServiceFixture f;
  wire::OpenSessionRequest open;
  open.set_hostname("node9");
  open.set_subdir("/data");
  wire::OpenSessionResponse opened;
  REQUIRE(f.Call(wire::METHOD_OPEN_SESSION, open, opened).ok());
  REQUIRE(opened.cluster_id() == "test");
  REQUIRE(opened.server_instance() == "one");
  REQUIRE(opened.session_timeout_ms() == 10000);
  REQUIRE(opened.root().attr().ino() == f.fs.InoOf("/data"));

  wire::CreateRequest create;
  create.mutable_context()->set_session_id(opened.session_id());
  create.mutable_context()->set_sequence(1);
  create.set_parent(opened.root().attr().ino());
  create.set_name("f");
  create.set_write(true);
  create.set_mode(0644);
  wire::CreateResponse created;
  REQUIRE(f.Call(wire::METHOD_CREATE, create, created).ok());
  REQUIRE(created.entry().log_index() != 0);
  REQUIRE(ErrnoOf(f.Call(wire::METHOD_CREATE, create, created)) == 0);  // a retry

  wire::LookupRequest lookup;
  lookup.mutable_context()->set_session_id(opened.session_id());
  lookup.set_parent(kRootInode.value());
  lookup.set_name("none");
  wire::EntryResponse entry;
  REQUIRE(ErrnoOf(f.Call(wire::METHOD_LOOKUP, lookup, entry)) == ENOENT);

  wire::StatfsRequest statfs;
  *statfs.mutable_context() = lookup.context();
  wire::StatfsResponse space;
  REQUIRE(f.Call(wire::METHOD_STATFS, statfs, space).ok());
  REQUIRE(space.total_bytes() == 100);
  REQUIRE(space.available_bytes() == 50);
  REQUIRE(space.inodes() - space.inodes_free() == 4);

  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(opened.session_id());
  wire::SessionHeartbeatResponse beaten;
  REQUIRE(f.Call(wire::METHOD_SESSION_HEARTBEAT, beat, beaten).ok());
  REQUIRE(beaten.map_version() == 7);
  REQUIRE(f.fs.names().sessions().List().back().open_files_write == 1);

  wire::SyncMetadataRequest sync;
  wire::SyncMetadataResponse synced;
  REQUIRE(f.Call(wire::METHOD_SYNC_METADATA, sync, synced).ok());
  REQUIRE(f.fs.log().last_synced_index() >= synced.log_index());

  wire::CloseSessionRequest close;
  close.set_session_id(opened.session_id());
  wire::CloseSessionResponse closed;
  REQUIRE(f.Call(wire::METHOD_CLOSE_SESSION, close, closed).ok());
  REQUIRE(ReasonOf(f.Call(wire::METHOD_LOOKUP, lookup, entry)) == Reason::kSessionUnknown);
}

TEST_CASE("a mount of what is no directory opens no session", "[metaserver][service]") {
  ServiceFixture f;
  const size_t before = f.fs.names().sessions().List().size();
  wire::OpenSessionRequest open;
  wire::OpenSessionResponse opened;
  open.set_subdir("/file");
  REQUIRE(ErrnoOf(f.Call(wire::METHOD_OPEN_SESSION, open, opened)) == ENOTDIR);
  open.set_subdir("/nothing");
  REQUIRE(ErrnoOf(f.Call(wire::METHOD_OPEN_SESSION, open, opened)) == ENOENT);
  REQUIRE(f.fs.names().sessions().List().size() == before);
}

TEST_CASE("a turn of a shared file ends with the client that took it", "[metaserver][service]") {
  ServiceFixture f;
  const SessionId session = f.fs.session();
  wire::BeginSharedWriteRequest begin;
  begin.mutable_context()->set_session_id(session.value());
  begin.mutable_context()->set_client(1);
  begin.set_ino(f.fs.InoOf("/file"));
  const InodeNumber ino(begin.ino());
  wire::EntryResponse entry;
  const auto has_turn = [&] { return f.fs.names().shared_writes().Holds(session, ino); };
  REQUIRE(f.Call(wire::METHOD_BEGIN_SHARED_WRITE, begin, entry).ok());
  REQUIRE(has_turn());

  wire::ResumeSessionRequest resume;
  resume.set_session_id(session.value());
  resume.set_client(2);
  wire::ResumeSessionResponse resumed;
  REQUIRE(f.Call(wire::METHOD_RESUME_SESSION, resume, resumed).ok());
  REQUIRE_FALSE(has_turn());
  REQUIRE(ReasonOf(f.Call(wire::METHOD_BEGIN_SHARED_WRITE, begin, entry)) == Reason::kOldSequence);
  REQUIRE_FALSE(has_turn());

  begin.mutable_context()->set_client(2);
  REQUIRE(f.Call(wire::METHOD_BEGIN_SHARED_WRITE, begin, entry).ok());
  REQUIRE(f.Call(wire::METHOD_RESUME_SESSION, resume, resumed).ok());  // a late copy
  wire::EndSharedWriteRequest end;
  *end.mutable_context() = begin.context();
  end.mutable_context()->set_client(1);
  end.set_ino(begin.ino());
  wire::EmptyResponse empty;
  REQUIRE(f.Call(wire::METHOD_END_SHARED_WRITE, end, empty).ok());
  REQUIRE(has_turn());
  end.mutable_context()->set_client(2);
  REQUIRE(f.Call(wire::METHOD_END_SHARED_WRITE, end, empty).ok());
  REQUIRE_FALSE(has_turn());
}

TEST_CASE("the cluster map comes from its source", "[metaserver][service]") {
  ServiceFixture f;
  wire::GetClusterMapRequest request;
  request.set_known_version(3);
  wire::GetClusterMapResponse response;
  REQUIRE(f.Call(wire::METHOD_GET_CLUSTER_MAP, request, response).ok());
  REQUIRE(response.map().version() == 7);
  REQUIRE(response.map().since() == 3);
}

}  // namespace penstock::metaserver
