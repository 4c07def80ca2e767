#include "metaserver/cluster/cluster_state.h"

#include "common/cluster_map.h"
#include "common/status.h"
#include "tests/metaserver/cluster/cluster_fixture.h"

using namespace penstock;
using namespace penstock::metaserver;
using Catch::Contains;

TEST_CASE("servers and targets get ids by their uuids and keep them", "[metaserver][cluster]") {
  ClusterFixture fixture;
  const auto first = fixture.Register(ChunkserverRequest(1, 2));
  const auto second = fixture.Register(ChunkserverRequest(2));
  REQUIRE(first.server_id() == 1);
  REQUIRE(first.target_ids(1) == 2);
  REQUIRE(second.server_id() == 2);
  REQUIRE(second.target_ids(0) == 3);
  const uint64_t version = fixture.state->map().version();
  const auto again = fixture.Register(ChunkserverRequest(1, 2));
  REQUIRE(again.server_id() == 1);
  REQUIRE(again.target_ids(0) == 1);
  REQUIRE(fixture.state->map().version() == version);  // nothing changed
}

TEST_CASE("groups are formed when enough targets registered, once", "[metaserver][cluster]") {
  ClusterFixture fixture({.replication = 2, .initial_targets = 3});
  fixture.Register(ChunkserverRequest(1));
  fixture.Register(ChunkserverRequest(2));
  REQUIRE(fixture.state->View().groups.empty());
  REQUIRE_THAT(fixture.Problems(), Contains("waiting for 3 targets, only 2"));
  const auto third = fixture.Register(ChunkserverRequest(3));
  REQUIRE(third.map().groups_size() == 64);
  REQUIRE(fixture.Problems() == "");
  fixture.Register(ChunkserverRequest(4));
  REQUIRE_THAT(fixture.Problems(), Contains("target 4") && Contains("holds no groups"));
  ClusterMap map;
  REQUIRE(map.Apply(fixture.state->map().MapSince(0)).ok());
  REQUIRE(map.FindClass(1)->groups.size() == 64);
  REQUIRE(map.FindClass(1)->replication == 2);
  REQUIRE(map.GroupOf(1, 65)->id.number == 1);
  REQUIRE(map.GroupOf(1, 65)->epoch == 1);
}

TEST_CASE("groups wait for failure domains and say so", "[metaserver][cluster]") {
  ClusterFixture fixture({.replication = 2, .initial_targets = 2});
  fixture.Register(ChunkserverRequest(1, 2));
  REQUIRE_THAT(fixture.Problems(), Contains("2 failure domains"));
  fixture.Register(ChunkserverRequest(2));
  REQUIRE(fixture.state->View().groups.size() == 64);
}

TEST_CASE("everything stands after a restart", "[metaserver][cluster]") {
  ClusterFixture fixture({.initial_targets = 3});
  for (int s = 1; s <= 3; ++s) fixture.Register(ChunkserverRequest(s));
  const wire::ClusterMap before = fixture.state->map().MapSince(0);
  const std::string id = fixture.state->cluster_id();
  fixture.Reopen();
  REQUIRE(!fixture.state->created());
  REQUIRE(fixture.state->cluster_id() == id);
  REQUIRE(fixture.state->map().MapSince(0).SerializeAsString() == before.SerializeAsString());
  // The old process's heartbeat is not known any more; the server registers under the same ids.
  REQUIRE(fixture.Beat(2, 2).register_again());
  const auto again = fixture.Register(ChunkserverRequest(2));
  REQUIRE(again.server_id() == 2);
  REQUIRE(again.map().version() == before.version());
}

TEST_CASE("a directory of another cluster is refused", "[metaserver][cluster]") {
  ClusterFixture fixture;
  ClusterOptions other{.cluster_id = "another"};
  const auto opened = fixture.Open(other);
  REQUIRE(ReasonOf(opened.status()) == Reason::kWrongCluster);
  wire::RegisterRequest request = ChunkserverRequest(1);
  request.set_cluster_id("another");
  REQUIRE(ReasonOf(fixture.state->Register(request).status()) == Reason::kWrongCluster);
}

TEST_CASE("a silent server is shown as offline, and online when it is back",
          "[metaserver][cluster]") {
  ClusterFixture fixture;
  for (int s = 1; s <= 2; ++s) fixture.Register(ChunkserverRequest(s));
  const uint64_t version = fixture.state->map().version();
  fixture.clock.Advance(absl::Seconds(4));
  REQUIRE(!fixture.Beat(2, 2).register_again());
  fixture.clock.Advance(absl::Seconds(2));
  REQUIRE(fixture.state->Tick().ok());
  const wire::ClusterMap change = fixture.state->map().MapSince(version);
  REQUIRE(change.since() == version);
  REQUIRE(change.servers_size() == 1);
  REQUIRE(change.servers(0).server_id() == 1);
  REQUIRE(change.servers(0).state() == wire::SERVER_OFFLINE);
  REQUIRE(change.targets(0).state() == wire::TARGET_OFFLINE);
  REQUIRE(change.groups_size() == 64);  // which go on without it
  REQUIRE_THAT(fixture.Problems(), Contains("server 1 (node1, 127.0.0.1:7411) is offline, last "
                                            "heard 6 s ago") &&
                                       Contains("64 groups are a copy short; another target takes "
                                                "over in 10 min unless it returns"));
  fixture.Beat(1, 1);
  REQUIRE(fixture.state->Tick().ok());
  REQUIRE_THAT(fixture.Problems(), !Contains("offline"));
}

TEST_CASE("nobody is offline just because the metaserver was away", "[metaserver][cluster]") {
  ClusterFixture fixture;
  for (int s = 1; s <= 2; ++s) fixture.Register(ChunkserverRequest(s));
  fixture.clock.Advance(absl::Hours(1));
  fixture.Reopen();
  REQUIRE(fixture.state->Tick().ok());
  REQUIRE(fixture.Problems() == "");
  fixture.clock.Advance(absl::Seconds(6));
  REQUIRE(fixture.state->Tick().ok());
  REQUIRE_THAT(fixture.Problems(), Contains("not heard since the metaserver started 6 s ago"));
}

TEST_CASE("target states and space follow the heartbeats", "[metaserver][cluster]") {
  ClusterFixture fixture({.replication = 2});
  for (int s = 1; s <= 2; ++s) fixture.Register(ChunkserverRequest(s));
  REQUIRE(fixture.state->Space().total_bytes == 100 * kGiB);
  REQUIRE(fixture.state->Space().available_bytes == 60 * kGiB);
  wire::HeartbeatRequest beat;
  beat.set_server_id(2);
  beat.set_instance("instance-2");
  wire::TargetHealth* health = beat.add_targets();
  health->set_target_id(2);
  health->set_state(wire::TARGET_FAILED);
  health->set_capacity_bytes(100 * kGiB);
  health->set_problem("read error");
  fixture.state->Heartbeat(beat);
  REQUIRE(fixture.state->Tick().ok());
  REQUIRE_THAT(fixture.Problems(), Contains("has failed: read error"));
  REQUIRE(fixture.state->Space().free_bytes == 30 * kGiB);
}

TEST_CASE("a target that its server no longer names is absent", "[metaserver][cluster]") {
  ClusterFixture fixture;
  fixture.Register(ChunkserverRequest(1, 2));
  wire::RegisterRequest fewer = ChunkserverRequest(1, 1);
  fixture.Register(fewer);
  REQUIRE(fixture.state->View().targets[1].target().state() == wire::TARGET_ABSENT);
  REQUIRE_THAT(fixture.Problems(), Contains("target 2 (/data/cs1/t2 of node1) is absent"));
}

TEST_CASE("fences are numbered, durable, and confirmed by every live server",
          "[metaserver][cluster]") {
  ClusterFixture fixture;
  for (int s = 1; s <= 2; ++s) fixture.Register(ChunkserverRequest(s));
  bool done = false;
  fixture.state->fences().Fence(SessionId(77), [&] { done = true; });
  REQUIRE(fixture.Beat(1, 1).fence_version() == 0);  // not before it is on disk
  REQUIRE(fixture.state->fences().Work().ok());
  const auto reply = fixture.Beat(1, 1);
  REQUIRE(reply.fence_version() == 1);
  REQUIRE(reply.fenced_sessions(0) == 77);
  wire::HeartbeatRequest obeys;
  obeys.set_fence_version(1);
  obeys.set_server_id(1);
  obeys.set_instance("instance-1");
  fixture.state->Heartbeat(obeys);
  REQUIRE(fixture.state->fences().Work().ok());
  REQUIRE(!done);
  obeys.set_server_id(2);
  obeys.set_instance("instance-2");
  fixture.state->Heartbeat(obeys);
  REQUIRE(fixture.state->fences().Work().ok());
  REQUIRE(done);
  REQUIRE(fixture.state->fences().AllServersConfirmed(1));
  fixture.Reopen();
  REQUIRE(fixture.state->fences().Current().sessions == std::vector<SessionId>{SessionId(77)});
  fixture.clock.Advance(absl::Hours(30));
  fixture.state->fences().Fence(SessionId(78), [] {});
  REQUIRE(fixture.state->fences().Work().ok());
  REQUIRE(fixture.state->fences().Expire().ok());
  REQUIRE(fixture.state->fences().Current().sessions == std::vector<SessionId>{SessionId(78)});
}

TEST_CASE("an order is done on the targets that are open, and waits for the others",
          "[metaserver][cluster]") {
  ClusterFixture fixture;
  for (int s = 1; s <= 2; ++s) fixture.Register(ChunkserverRequest(s));
  wire::DeleteContent order;
  order.mutable_layout()->set_content_id(5);
  order.mutable_layout()->set_storage_class(1);
  order.set_chunk_count(100);
  bool done = false;
  REQUIRE(fixture.state->orders().Delete(order, [&] { done = true; }));
  const auto beat = [&](uint32_t s, wire::TargetState state, uint64_t did) {
    wire::HeartbeatRequest request;
    request.set_server_id(s);
    request.set_instance("instance-" + std::to_string(s));
    wire::TargetHealth* health = request.add_targets();
    health->set_target_id(s);
    health->set_state(state);
    if (did != 0) request.add_done_orders(did);
    return fixture.state->Heartbeat(request);
  };
  const auto reply = beat(1, wire::TARGET_ONLINE, 0);
  REQUIRE(reply.orders_size() == 1);
  REQUIRE(reply.orders(0).delete_content().layout().content_id() == 5);
  const uint64_t id = reply.orders(0).order_id();
  beat(1, wire::TARGET_ONLINE, id);
  REQUIRE(!done);
  // The other server lives, but its disk does not: what it says it did, it did not do there.
  REQUIRE(beat(2, wire::TARGET_ABSENT, 0).orders_size() == 0);
  beat(2, wire::TARGET_ABSENT, id);
  REQUIRE(!done);
  wire::HeartbeatRequest unnamed;
  unnamed.set_server_id(2);
  unnamed.set_instance("instance-2");
  unnamed.add_done_orders(id);
  fixture.state->Heartbeat(unnamed);
  REQUIRE(!done);
  REQUIRE(beat(2, wire::TARGET_FAILED, 0).orders_size() == 1);
  fixture.Register(ChunkserverRequest(2));
  REQUIRE(beat(2, wire::TARGET_ONLINE, 0).orders_size() == 1);
  beat(2, wire::TARGET_ONLINE, id);
  REQUIRE(done);
}

TEST_CASE("a disk that several targets share counts once", "[metaserver][cluster]") {
  ClusterFixture fixture({.replication = 2});
  for (int s = 1; s <= 2; ++s) {
    wire::RegisterRequest request = ChunkserverRequest(s);
    for (wire::RegisterTarget& target : *request.mutable_targets()) {
      target.set_capacity_bytes(100 * kGiB);
      target.set_free_bytes(60 * kGiB);
      target.set_disk_id("boot/1");
    }
    fixture.Register(request);
  }
  auto check = [&] {
    REQUIRE(fixture.state->Space().total_bytes == 50 * kGiB);
    REQUIRE(fixture.state->Space().available_bytes == 30 * kGiB);
    const ClusterView view = fixture.state->View();
    REQUIRE(view.capacity_bytes == 100 * kGiB);
    for (const wire::ServerInfo& server : view.servers) {
      REQUIRE(server.capacity_bytes() == 100 * kGiB);
    }
  };
  check();  // before the first heartbeat
  for (uint32_t s = 1; s <= 2; ++s) {
    wire::HeartbeatRequest beat;
    beat.set_server_id(s);
    beat.set_instance(absl::StrCat("instance-", s));
    wire::TargetHealth* health = beat.add_targets();
    health->set_target_id(s);
    health->set_state(wire::TARGET_ONLINE);
    health->set_capacity_bytes(100 * kGiB);
    health->set_free_bytes(60 * kGiB);
    health->set_disk_id("boot/1");
    fixture.state->Heartbeat(beat);
  }
  check();
}
