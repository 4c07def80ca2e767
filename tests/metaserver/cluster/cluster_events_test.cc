// What people are told of servers, targets and groups.
#include "metaserver/cluster/cluster_events.h"

#include <catch2/catch.hpp>

#include "tests/metaserver/cluster/repair_world.h"

using namespace penstock;
using namespace penstock::metaserver;
using Catch::Contains;

TEST_CASE("people hear of servers that join, and of the groups", "[metaserver][events]") {
  ClusterFixture fixture;
  fixture.Register(ChunkserverRequest(1));
  fixture.Register(ChunkserverRequest(2));
  REQUIRE(fixture.events.Take() ==
          std::vector<std::string>{
              "class.made: storage class default with 2 copies is made",
              "server.joined: server 1 (node1, 127.0.0.1:7411) is new in the cluster",
              "target.added: target 1 (/data/cs1/t1 of server 1) is new",
              "server.joined: server 2 (node2, 127.0.0.1:7412) is new in the cluster",
              "target.added: target 2 (/data/cs2/t1 of server 2) is new",
              "groups.formed: 64 groups of storage class default are formed: the cluster takes "
              "data"});
  fixture.Register(ChunkserverRequest(1));
  REQUIRE(fixture.events.Take().empty());
  wire::RegisterRequest again = ChunkserverRequest(1);
  again.set_instance("another");
  again.set_version("9.9");
  fixture.Register(again);
  REQUIRE(fixture.events.TakeText() ==
          "server.upgraded: server 1 (node1, 127.0.0.1:7411) runs version 9.9, before 0.1.0\n"
          "server.restarted: the chunkserver of server 1 (node1, 127.0.0.1:7411) has started "
          "again\n");
}

TEST_CASE("the loss and the return of a server are a few lines, whatever the groups",
          "[metaserver][events]") {
  RepairWorld world(3);
  world.Pass(absl::Seconds(3));
  world.fixture.events.Take();
  world[1].up = false;
  world.Pass(absl::Seconds(10));
  std::vector<std::string> told = world.fixture.events.Take();
  REQUIRE(told.size() == 3);
  REQUIRE(told[0] ==
          "server.left: server 1 (node1, 127.0.0.1:7411) is not heard of any more, and "
          "offline with 1 target");
  REQUIRE_THAT(told[1], Contains("repair.begun: ") && Contains(" of 64 groups lack a copy"));
  REQUIRE_THAT(told[2], Contains("groups.changed: target 1 left ") && Contains(" groups"));
  world[1].Register();
  world.Pass(absl::Seconds(15), /*sync=*/true);
  const std::string text = world.fixture.events.TakeText();
  REQUIRE_THAT(text, Contains("server.back: server 1") && Contains("with 1 target") &&
                         Contains("target.in_sync: target 1 (/data/cs1/t1 of node1) is in sync in "
                                  "all its ") &&
                         Contains("repair.ended: every group has all its copies in sync again"));
  REQUIRE_THAT(text, Contains("target 1 joined ") && Contains("target 1 is in sync in "));
  REQUIRE_THAT(text, !Contains("target.back"));
}

TEST_CASE("a reboot is told", "[metaserver][events]") {
  RepairWorld world(2);
  world.Pass(absl::Seconds(1));
  world.fixture.events.Take();
  world[2].Reboot();
  REQUIRE_THAT(world.fixture.events.TakeText(),
               Contains("server.rebooted: the machine of server 2") && Contains("repair.begun"));
}

TEST_CASE("a disk's problem is told once, also while its count grows", "[metaserver][events]") {
  ClusterFixture fixture;
  fixture.Register(ChunkserverRequest(1));
  fixture.events.Take();
  wire::HeartbeatRequest beat;
  beat.set_server_id(1);
  beat.set_instance("instance-1");
  wire::TargetHealth* health = beat.add_targets();
  health->set_target_id(1);
  health->set_state(wire::TARGET_ONLINE);
  fixture.state->Heartbeat(beat);
  REQUIRE(fixture.events.Take().empty());
  for (int errors = 1; errors < 4; ++errors) {
    health->set_problem(absl::StrCat(errors, " I/O errors since the start"));
    fixture.state->Heartbeat(beat);
  }
  REQUIRE(fixture.events.Take() ==
          std::vector<std::string>{
              "disk.problem: target 1 (/data/cs1/t1 of node1): 1 I/O errors since the start"});
  health->set_state(wire::TARGET_FAILED);
  fixture.state->Heartbeat(beat);
  REQUIRE(fixture.state->Tick().ok());
  REQUIRE(
      fixture.events.TakeText() ==
      "target.away: target 1 (/data/cs1/t1 of node1) is failed: 3 I/O errors since the start\n");
  health->clear_problem();
  health->set_state(wire::TARGET_ONLINE);
  fixture.state->Heartbeat(beat);
  REQUIRE(fixture.state->Tick().ok());
  REQUIRE_THAT(fixture.events.TakeText(),
               Contains("disk.cleared: target 1 (/data/cs1/t1 of node1) has no problem any more") &&
                   Contains("target.back: target 1"));
}

TEST_CASE("a metaserver that starts while groups lack copies does not say that they begin to",
          "[metaserver][events]") {
  RepairWorld world(3);
  world[1].up = false;
  world.Pass(absl::Seconds(10));
  world.fixture.Reopen();
  world.fixture.events.Take();
  world.Pass(absl::Seconds(4));
  REQUIRE_THAT(world.fixture.events.TakeText(), !Contains("repair.begun"));
}

TEST_CASE("a long list of targets is cut off", "[metaserver][events]") {
  GroupDigest digest;
  for (uint32_t target = 1; target <= 20; ++target) {
    Membership before{.id = {1, target},
                      .members = {{TargetId(target), wire::MEMBER_IN_SYNC},
                                  {TargetId(99), wire::MEMBER_IN_SYNC}}};
    Membership after = before;
    after.members.erase(after.members.begin());
    digest.Count(before, after, absl::Seconds(target));
    if (target < 15) REQUIRE(!digest.Take(absl::Seconds(target)));
  }
  const auto text = digest.Take(absl::Seconds(20));  // it goes on for long
  REQUIRE(text);
  REQUIRE_THAT(*text, Contains("target 1 left 1 group, target 2 left 1 group") &&
                          Contains("and so on with 8 other targets"));
  REQUIRE(!digest.Take(absl::Seconds(60)));
}

TEST_CASE("drains, removals and rebalances are told, and a removal is no trouble",
          "[metaserver][events]") {
  RepairWorld world(4, {.initial_targets = 3});
  world.Pass(absl::Seconds(1));
  ClusterState& state = *world.fixture.state;
  world.fixture.events.Take();
  wire::DrainTargetRequest drain;
  drain.set_target_id(1);
  REQUIRE(state.DrainTarget(drain).ok());
  REQUIRE(state.DrainTarget(drain).ok());
  drain.set_onto(4);
  REQUIRE(state.DrainTarget(drain).ok());
  REQUIRE(state.UndrainTarget(TargetId(1)).ok());
  REQUIRE(state.StartRebalance({}).ok());
  REQUIRE(state.StopRebalance().ok());
  REQUIRE(state.RemoveTarget(TargetId(4), false).ok());
  REQUIRE(world.fixture.events.Take() ==
          std::vector<std::string>{
              "target.draining: target 1 (/data/cs1/t1 of node1) gives its groups to others",
              "target.draining: target 1 (/data/cs1/t1 of node1) gives its groups to target 4 "
              "where that can take them",
              "target.undrained: target 1 (/data/cs1/t1 of node1) is in service again",
              "rebalance.begun: groups go from full targets to emptier ones",
              "rebalance.ended: stopped by an operator; 0 groups moved",
              "target.removed: target 4 (/data/cs4/t1 of node4) has left the cluster"});
  world[4].up = false;
  world.Pass(absl::Seconds(8));
  REQUIRE_THAT(world.fixture.events.TakeText(), Contains("offline with 0 targets"));
}
