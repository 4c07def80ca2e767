#include "metaserver/cluster/repair_plan.h"

#include "tests/metaserver/cluster/repair_scene.h"

using namespace penstock;
using namespace penstock::metaserver;

TEST_CASE("nothing changes while all is well", "[metaserver][repair]") {
  Scene scene;
  scene.Add(1, {A, B});
  REQUIRE(scene.Plan().groups.empty());
  REQUIRE(scene.Plan().Summary() == "");
}

TEST_CASE("those that are silent leave, in one plan, while a live one goes on",
          "[metaserver][repair]") {
  Scene scene(3);
  scene.Add(1, {A, B, C});
  scene.Add(2, {A, B, D});
  scene.Add(3, {B});
  scene.Silent(A);
  scene.Silent(B);
  REQUIRE(Scene::Text(scene.Plan()) == "1: 3, 2: 4");
  REQUIRE(scene.Plan().removed == 4);
  REQUIRE(scene.Plan().Summary() == "removed=4");
  scene.Silent(C);
  REQUIRE(Scene::Text(scene.Plan()) == "2: 4");
}

TEST_CASE("a server that was not heard since our start is neither gone nor relied on",
          "[metaserver][repair]") {
  Scene scene;
  scene.Add(1, {A, B});
  scene.inventory.servers[ServerId(1)].instance.clear();
  REQUIRE(scene.Plan().groups.empty());
  scene.Silent(B);
  REQUIRE(scene.Plan().groups.empty());  // nobody is known to go on
  scene.inventory.servers[ServerId(1)].instance = "instance";
  REQUIRE(Scene::Text(scene.Plan()) == "1: 1");
}

TEST_CASE("failed targets are demoted before they leave, one good copy must stay",
          "[metaserver][repair]") {
  Scene scene;
  const GroupId id = scene.Add(1, {A, B});
  scene.inventory.targets[A].health.set_state(wire::TARGET_FAILED);
  REQUIRE(Scene::Text(scene.Plan()) == "1: 2 1?");
  scene.Take(scene.members.PlanDemote(id, A, {B}));
  scene.notes[id].published = 11;  // not heard yet
  REQUIRE(Scene::Text(scene.Plan()) == "");
  scene.inventory.servers[ServerId(1)].map_version = 11;
  REQUIRE(Scene::Text(scene.Plan()) == "1: 2");
  scene.inventory.targets[B].health.set_state(wire::TARGET_FAILED);
  REQUIRE(Scene::Text(scene.Plan()) == "");
}

TEST_CASE("an epoch is confirmed by an in-sync member whose server has taken it",
          "[metaserver][repair]") {
  Scene scene;
  const GroupId id = scene.Add(1, {A, B});
  scene.Take(scene.members.PlanRemove(id, B, {A}));
  scene.notes[id].published = 11;
  scene.Silent(B);
  REQUIRE(scene.Plan().confirmed == 0);
  scene.inventory.servers[ServerId(1)].map_version = 11;
  const RepairPlan plan = scene.Plan();
  REQUIRE(plan.confirmed == 1);
  REQUIRE(plan.Summary() == "");
  REQUIRE(plan.groups.at(0).epoch == 2);
  REQUIRE(plan.groups.at(0).former == std::vector<TargetId>{B});
}

TEST_CASE("several members that synced in one epoch are in sync together", "[metaserver][repair]") {
  Scene scene(3);
  const GroupId id = scene.Add(1, {A});
  scene.Take(scene.members.PlanAdd(id, B));
  scene.Take(scene.members.PlanAdd(id, C));
  scene.notes[id].synced = {B, C};
  REQUIRE(Scene::Text(scene.Plan()) == "1: 1 2 3");
  REQUIRE(scene.Plan().groups.at(0).epoch == 5);
  scene.Silent(C);
  REQUIRE(Scene::Text(scene.Plan()) == "1: 1 2");  // and out it goes in the same plan
}

// The first of them may have pending what the one behind it was not given yet: as the tail it would
// commit that (tests/simulation found it).
TEST_CASE("members that synced in one epoch keep their order", "[metaserver][repair]") {
  Scene scene(3);
  const GroupId id = scene.Add(7, {A});
  scene.Take(scene.members.PlanAdd(id, C));
  scene.Take(scene.members.PlanAdd(id, B));
  REQUIRE(scene.members.Find(id)->members[1].target == C);
  scene.notes[id].synced = {B, C};
  REQUIRE(Scene::Text(scene.Plan()) == "7: 1 3 2");
}

TEST_CASE("groups with the fewest copies get a member first", "[metaserver][repair]") {
  Scene scene(3);
  scene.options.repairs_per_target = 1;
  const GroupId two = scene.Add(1, {A, B, C});
  const GroupId one = scene.Add(2, {A, D, C});
  scene.Take(scene.members.PlanRemove(two, C, {A, B}));
  scene.Take(scene.members.PlanRemove(one, C, {A, D}));
  scene.Take(scene.members.PlanRemove(one, D, {A}));
  scene.Silent(D);
  REQUIRE(scene.Plan().returned == 1);  // C has its fill of repairs then
  REQUIRE(Scene::Text(scene.Plan()) == "1: 1 2, 2: 1 3?");
  scene.options.repairs_per_target = 2;
  REQUIRE(Scene::Text(scene.Plan()) == "1: 1 2 3?, 2: 1 3?");
}

TEST_CASE("a group gets one member at a time and no more than its goal", "[metaserver][repair]") {
  Scene scene(3);
  const GroupId id = scene.Add(1, {A, B, C});
  scene.Take(scene.members.PlanRemove(id, C, {A, B}));
  scene.Take(scene.members.PlanRemove(id, B, {A}));
  REQUIRE(Scene::Text(scene.Plan()) == "1: 1 2?");
  scene.Take(scene.members.PlanAdd(id, B));
  REQUIRE(scene.Plan().returned == 0);
}

TEST_CASE("a group with more copies than its goal loses the last, serving nobody first",
          "[metaserver][repair]") {
  Scene scene;
  const GroupId id = scene.Add(1, {A, B, C});
  scene.inventory.targets[B].health.set_state(wire::TARGET_FAILED);
  REQUIRE(scene.Plan().surplus == 0);  // they are not enough without it
  scene.inventory.targets[B].health.set_state(wire::TARGET_ONLINE);
  REQUIRE(Scene::Text(scene.Plan()) == "1: 1 2 3?");
  scene.Take(scene.members.PlanDemote(id, C, {A}));
  scene.Take(scene.members.PlanConfirm(id, A, 2));
  scene.notes[id].published = 11;
  scene.notes[id].synced = {C};  // that does not bring it back
  REQUIRE(scene.Plan().groups.empty());
  scene.inventory.servers[ServerId(3)].map_version = 11;
  REQUIRE(Scene::Text(scene.Plan()) == "1: 1 2");
}

TEST_CASE("another target joins after the grace, the least loaded that fits",
          "[metaserver][repair]") {
  Scene scene;
  scene.Add(5, {A, C});
  const GroupId id = scene.Add(1, {A, B});
  scene.Silent(B);
  scene.Take(scene.members.PlanRemove(id, B, {A}));
  scene.notes[id].below_goal_since = kNow - scene.options.repair_after + absl::Seconds(1);
  REQUIRE(scene.Plan().replaced == 0);
  scene.notes[id].below_goal_since = kNow - scene.options.repair_after;
  REQUIRE(scene.Plan().replaced == 1);
  REQUIRE_THAT(Scene::Text(scene.Plan()), Catch::Contains("1: 1 4?"));  // D has no groups
  scene.inventory.servers[ServerId(1)].record.mutable_server()->set_rack("r");
  scene.inventory.servers[ServerId(4)].record.mutable_server()->set_rack("r");
  REQUIRE_THAT(Scene::Text(scene.Plan()), Catch::Contains("1: 1 3?"));
  scene.inventory.targets[C].health.set_free_bytes(4 * kGiB);
  REQUIRE(scene.Plan().replaced == 0);
  // One that was a member comes first, however long it was away, and is waited for.
  scene.inventory.servers[ServerId(2)].heard = kNow;
  REQUIRE_THAT(Scene::Text(scene.Plan()), Catch::Contains("1: 1 2?"));
  scene.options.repairs_per_target = 0;
  scene.inventory.targets[C].health.set_free_bytes(90 * kGiB);
  REQUIRE(scene.Plan().replaced + scene.Plan().returned == 0);
}

TEST_CASE("former members are asked to drop once the group has all its copies",
          "[metaserver][repair]") {
  Scene scene;
  const GroupId id = scene.Add(1, {A, B});
  scene.Take(scene.members.PlanRemove(id, B, {A}));
  scene.Take(scene.members.PlanConfirm(id, A, 2));
  REQUIRE(scene.Plan().drops.empty());  // it is needed again
  scene.Take(scene.members.PlanAdd(id, C));
  scene.Take(scene.members.PlanSynced(id, C, 3));
  scene.notes[id].published = 11;
  REQUIRE(scene.Plan().drops.empty());  // nobody has taken epoch 4
  scene.Take(scene.members.PlanConfirm(id, A, 4));
  const RepairPlan plan = scene.Plan();
  REQUIRE(plan.drops.size() == 1);
  REQUIRE(plan.drops[0].epoch() == 4);
  REQUIRE(plan.drops[0].target_id() == B.value());
  scene.notes[id].dropping = {B};
  REQUIRE(scene.Plan().drops.empty());  // it was asked
  scene.notes[id].dropped = {B};
  REQUIRE(scene.Plan().groups.at(0).former.empty());
  REQUIRE(scene.Plan().groups.at(0).epoch == 4);
}

TEST_CASE("a machine's new boot concerns all groups where its copies count",
          "[metaserver][repair]") {
  Scene scene;
  const GroupId gone = scene.Add(1, {A, B});
  scene.Add(2, {B, C});
  scene.Add(3, {C, D});
  scene.Take(scene.members.PlanRemove(gone, B, {A}));
  RepairPlan plan;
  plan.groups = PlanReboots(scene.members, {B});
  REQUIRE(Scene::Text(plan) == "1: 1, 2: 3 2?");
  REQUIRE(plan.groups[0].rebooted == std::vector<TargetId>{B});
}
