// What operators ask of ClusterState: drain, remove, rebalance; one server with one target each, 64
// groups.
#include <catch2/catch.hpp>

#include "tests/metaserver/cluster/repair_world.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

wire::DrainTargetRequest Drain(uint32_t target, uint32_t onto = 0, bool dry_run = false) {
  wire::DrainTargetRequest request;
  request.set_target_id(target);
  request.set_onto(onto);
  request.set_dry_run(dry_run);
  return request;
}

int Held(const RepairWorld& world, uint32_t target) {
  int held = 0;
  const wire::ClusterMap map = world.Map();
  for (const wire::MapGroup& group : map.groups()) {
    for (const wire::MapMember& member : group.members()) held += member.target_id() == target;
  }
  return held;
}

wire::TargetInfo Info(const RepairWorld& world, uint32_t target) {
  for (const wire::TargetInfo& info : world.fixture.state->View().targets) {
    if (info.target().target_id() == target) return info;
  }
  return {};
}

}  // namespace

TEST_CASE("a drained target is empty, stays so, and can be removed for good",
          "[metaserver][drain]") {
  RepairWorld world(4, {.initial_targets = 4});
  const int held = Held(world, 1);
  REQUIRE(held > 0);
  ClusterState& state = *world.fixture.state;
  world.Pass(absl::Seconds(1));
  auto planned = state.DrainTarget(Drain(1, 0, true));
  REQUIRE(planned.ok());
  REQUIRE(static_cast<int>(planned->groups()) == held);
  REQUIRE(!Info(world, 1).draining());  // a dry run changes nothing
  REQUIRE(state.DrainTarget(Drain(1)).ok());
  REQUIRE(state.DrainTarget(Drain(1)).ok());  // again
  REQUIRE(absl::IsFailedPrecondition(state.RemoveTarget(TargetId(1), false).status()));
  world.Pass(absl::Seconds(40), true);
  REQUIRE(Held(world, 1) == 0);
  REQUIRE(Info(world, 1).draining());
  REQUIRE(world.fixture.Problems().find("target remove 1") != std::string::npos);
  // The wish outlives the metaserver.
  world.fixture.Reopen();
  world.Pass(absl::Seconds(10), true);
  REQUIRE(Info(world, 1).draining());
  REQUIRE(Held(world, 1) == 0);
  REQUIRE(world.fixture.state->RemoveTarget(TargetId(1), true).ok());
  REQUIRE(Info(world, 1).target().target_id() == 1);
  REQUIRE(!world.fixture.state->RemoveTarget(TargetId(1), false)->removed_before());
  REQUIRE(world.fixture.state->RemoveTarget(TargetId(1), true)->removed_before());
  REQUIRE(world.fixture.state->RemoveTarget(TargetId(1), false)->removed_before());
  REQUIRE(Info(world, 1).target().target_id() == 0);
  REQUIRE(absl::IsNotFound(world.fixture.state->DrainTarget(Drain(1)).status()));
}

TEST_CASE("a removed target's server is told, and its orders end", "[metaserver][remove]") {
  RepairWorld world(3, {.initial_targets = 3});
  world.Pass(absl::Seconds(1));
  REQUIRE(world.fixture.state->DrainTarget(Drain(1)).ok());
  world.Pass(absl::Seconds(40), true);
  REQUIRE(Held(world, 1) == 0);
  int done = 0;
  wire::DeleteContent content;
  content.mutable_layout()->set_content_id(5);
  content.mutable_layout()->set_chunk_size_log2(22);
  content.mutable_layout()->set_storage_class(1);
  content.set_chunk_count(64);
  REQUIRE(world.fixture.state->orders().Delete(content, [&] { ++done; }));
  for (int n = 2; n <= 3; ++n) {
    const wire::HeartbeatResponse answer = world[n].Beat();
    for (const wire::Order& order : answer.orders()) {
      world[n].done.push_back(order.order_id());
    }
    world[n].Beat();
  }
  REQUIRE(done == 0);  // target 1 still has copies to drop
  REQUIRE(world.fixture.state->RemoveTarget(TargetId(1), false).ok());
  for (int n = 2; n <= 3; ++n) {
    const wire::HeartbeatResponse answer = world[n].Beat();
    for (const wire::Order& order : answer.orders()) {
      world[n].done.push_back(order.order_id());
    }
    world[n].Beat();
  }
  REQUIRE(done == 1);
  wire::RegisterRequest request = ChunkserverRequest(1);
  request.mutable_targets(0)->set_target_id(1);
  const wire::RegisterResponse response = world.fixture.Register(request);
  REQUIRE(response.target_ids(0) == 0);
  // Its directory may hold a new target.
  request.mutable_targets(0)->set_target_id(0);
  request.mutable_targets(0)->set_target_uuid("another");
  REQUIRE(world.fixture.Register(request).target_ids(0) == 4);
}

TEST_CASE("what is not there to be drained, or cannot be, is refused", "[metaserver][drain]") {
  RepairWorld world(2);
  world.Pass(absl::Seconds(1));
  ClusterState& state = *world.fixture.state;
  REQUIRE(absl::IsNotFound(state.DrainTarget(Drain(9)).status()));
  const auto few = state.DrainTarget(Drain(1)).status();
  REQUIRE(absl::IsFailedPrecondition(few));
  REQUIRE(std::string(few.message()).find("failure domain") != std::string::npos);
  REQUIRE(absl::IsInvalidArgument(state.DrainTarget(Drain(1, 1)).status()));
  REQUIRE(absl::IsNotFound(state.DrainTarget(Drain(1, 7)).status()));
  REQUIRE(absl::IsNotFound(state.UndrainTarget(TargetId(9)).status()));
  REQUIRE(!Info(world, 1).draining());
}

TEST_CASE("the place of a target that is away is taken at once", "[metaserver][drain]") {
  RepairWorld world(4, {.initial_targets = 3});
  world.Pass(absl::Seconds(1));
  const int held = Held(world, 1);
  world[1].up = false;
  world.Pass(absl::Seconds(8), true);
  REQUIRE(Held(world, 1) == 0);
  REQUIRE(Held(world, 4) == 0);
  REQUIRE(
      absl::IsFailedPrecondition(world.fixture.state->RemoveTarget(TargetId(1), false).status()));
  REQUIRE(static_cast<int>(Info(world, 1).awaited_by()) == held);
  const auto draining = world.fixture.state->DrainTarget(Drain(1, 4));
  REQUIRE(draining.ok());
  REQUIRE(static_cast<int>(draining->groups()) == held);
  REQUIRE(draining->shares_size() == 1);
  REQUIRE(draining->bytes() > 0);
  REQUIRE(static_cast<int>(Info(world, 1).drain_groups()) == held);
  REQUIRE(world.fixture.Problems().find("is being drained") != std::string::npos);
  world.Pass(absl::Seconds(20), true);
  REQUIRE(Held(world, 4) == held);
  REQUIRE(Info(world, 1).awaited_by() == 0);
  REQUIRE(world.fixture.state->RemoveTarget(TargetId(1), false).ok());
  REQUIRE(world.fixture.state->View().servers.size() == 3);  // nobody misses its server
}

TEST_CASE("an added target is said to be unused, and a rebalance fills it",
          "[metaserver][rebalance]") {
  RepairWorld world(4, {.initial_targets = 3});
  REQUIRE(world.fixture.state->View().rebalance.unbalanced());  // at once
  world.Pass(absl::Seconds(1));
  REQUIRE(Held(world, 4) == 0);
  REQUIRE(world.fixture.Problems().find("penstock rebalance start") != std::string::npos);
  wire::StartRebalanceRequest request;
  request.set_dry_run(true);
  auto planned = world.fixture.state->StartRebalance(request);
  REQUIRE(planned.ok());
  REQUIRE(planned->moves_size() == 3);  // from each of the others
  REQUIRE(!planned->rebalance().running());
  request.set_dry_run(false);
  REQUIRE(world.fixture.state->StartRebalance(request)->rebalance().running());
  world.Pass(absl::Seconds(2), true);
  REQUIRE(Held(world, 4) > 0);
  world.fixture.Reopen();  // it goes on
  REQUIRE(world.fixture.state->View().rebalance.running());
  world.Pass(absl::Seconds(60), true);
  REQUIRE(Held(world, 4) >= 30);
  const wire::RebalanceInfo info = world.fixture.state->View().rebalance;
  REQUIRE(!info.running());
  REQUIRE(info.ended() == "nothing is left to move");
  REQUIRE(info.outcome() == wire::REBALANCE_DONE);
  REQUIRE(info.moved_groups() >= 30);
  REQUIRE(!info.unbalanced());
  int heads = 0;
  const wire::ClusterMap map = world.Map();
  for (const wire::MapGroup& group : map.groups()) {
    heads += group.members(0).target_id() == 4;
  }
  REQUIRE(heads >= 12);
  REQUIRE(!world.fixture.state->StopRebalance()->running());
}

TEST_CASE("a rebalance that runs keeps the terms that a second start does not name",
          "[metaserver][rebalance]") {
  RepairWorld world(4, {.initial_targets = 3});
  ClusterState& state = *world.fixture.state;
  wire::StartRebalanceRequest request;
  request.set_max_bytes_per_second(50);
  request.set_threshold_permille(20);
  REQUIRE(state.StartRebalance(request).ok());
  wire::RebalanceInfo info = state.StartRebalance({})->rebalance();
  REQUIRE(info.max_bytes_per_second() == 50);
  REQUIRE(info.threshold_permille() == 20);
  REQUIRE(info.groups_left() >= 30);
  request.set_max_bytes_per_second(70);
  request.set_threshold_permille(0);
  info = state.StartRebalance(request)->rebalance();
  REQUIRE(info.max_bytes_per_second() == 70);
  REQUIRE(info.threshold_permille() == 20);
  REQUIRE(state.StopRebalance()->outcome() == wire::REBALANCE_STOPPED);
  REQUIRE(state.View().rebalance.unbalanced());
  info = state.StartRebalance({})->rebalance();
  REQUIRE(info.max_bytes_per_second() == 0);
  REQUIRE(info.threshold_permille() == 50);
  REQUIRE(info.outcome() == wire::REBALANCE_NO_OUTCOME);
}

TEST_CASE("nobody is drained onto a target that was removed", "[metaserver][remove]") {
  RepairWorld world(4, {.initial_targets = 3});
  world.Pass(absl::Seconds(1));
  ClusterState& state = *world.fixture.state;
  REQUIRE(state.DrainTarget(Drain(1, 4)).ok());
  REQUIRE(state.RemoveTarget(TargetId(4), false).ok());  // it holds nothing yet
  REQUIRE(Info(world, 1).draining());
  REQUIRE(Info(world, 1).drain_onto() == 0);
  REQUIRE(absl::IsFailedPrecondition(state.DrainTarget(Drain(2, 0, true)).status()));
  world.Pass(absl::Seconds(40), true);
  REQUIRE(Held(world, 1) == 0);
}
