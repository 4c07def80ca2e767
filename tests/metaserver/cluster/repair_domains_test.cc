// Failure domains, drains and drops in the plan of one moment.
#include "tests/metaserver/cluster/repair_scene.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

const TargetId A2{11};  // on the server of A

// While a group of A and B moved from A to A2, B was lost.
GroupId AddCrowded(Scene& scene) {
  scene.AddTarget(A2.value(), 1);
  const GroupId id = scene.Add(1, {A, B});
  scene.Take(scene.members.PlanMove(id, A, A2));
  scene.Take(scene.members.PlanRemove(id, B, {A}));
  scene.Take(scene.members.PlanSynced(id, A2, 3));
  scene.Take(scene.members.PlanConfirm(id, A, 4));
  return id;
}

void PutAllInOneRack(Scene& scene) {
  for (auto& [id, server] : scene.inventory.servers) {
    server.record.mutable_server()->set_rack("r");
  }
}

}  // namespace

TEST_CASE("two copies in one failure domain are not enough: another comes at once",
          "[metaserver][repair]") {
  Scene scene;
  const GroupId id = AddCrowded(scene);
  REQUIRE(Scene::Text(scene.Plan()) == "1: 1 11 2?");  // the one that was there before
  REQUIRE(scene.Plan().drops.empty());
  scene.Silent(B);
  REQUIRE(scene.Plan().replaced == 1);
  REQUIRE(scene.Plan().groups.at(0).members.size() == 3);
  scene.Take(scene.members.PlanStay(id));
  scene.Take(scene.members.PlanAdd(id, B));
  scene.notes[id].published = 11;  // nobody has taken it yet
  scene.inventory.servers[ServerId(2)].heard = kNow;
  REQUIRE(Scene::Text(scene.Plan()) == "");
  scene.Take(scene.members.PlanSynced(id, B, 5));
  REQUIRE(Scene::Text(scene.Plan()) == "1: 1 2 11?");  // one of the two goes
  REQUIRE(scene.Plan().surplus == 1);
}

TEST_CASE("while nobody else can take it, the only copy elsewhere is not dropped",
          "[metaserver][repair]") {
  Scene scene;
  const GroupId id = AddCrowded(scene);
  scene.Take(scene.members.PlanStay(id));
  scene.options.repairs_per_target = 0;
  REQUIRE(scene.Plan().groups.empty());
  REQUIRE(scene.Plan().drops.empty());
}

TEST_CASE("where there are fewer failure domains than copies, groups come to rest all the same",
          "[metaserver][repair]") {
  Scene scene;
  const GroupId crowded = AddCrowded(scene);
  scene.Take(scene.members.PlanStay(crowded));
  const GroupId short_one = scene.Add(2, {A, B});
  scene.Take(scene.members.PlanRemove(short_one, B, {A}));
  scene.Take(scene.members.PlanConfirm(short_one, A, 2));
  PutAllInOneRack(scene);
  REQUIRE(Scene::Text(scene.Plan()) == "2: 1 2?");
  REQUIRE(scene.Plan().drops.size() == 1);
  REQUIRE(scene.Plan().drops[0].group() == 1);
  REQUIRE(scene.Plan().drops[0].target_id() == B.value());
}

TEST_CASE("one that was drained long ago does not end the grace of others",
          "[metaserver][repair][drain]") {
  Scene scene;
  const GroupId id = scene.Add(1, {A, B});
  scene.Take(scene.members.PlanRemove(id, B, {A}));
  scene.Take(scene.members.PlanConfirm(id, A, 2));
  scene.Take(scene.members.PlanAdd(id, C));
  scene.Take(scene.members.PlanSynced(id, C, 3));
  scene.inventory.targets[B].record.set_draining(true);
  scene.Silent(B);
  scene.Silent(C);
  scene.Take(scene.members.PlanRemove(id, C, {A}));
  scene.notes[id].below_goal_since = kNow - absl::Seconds(1);
  REQUIRE(scene.Plan().replaced == 0);  // C may return
  scene.inventory.targets[C].record.set_draining(true);
  REQUIRE(scene.Plan().replaced == 1);
  scene.inventory.targets[C].record.set_draining(false);
  scene.Silent(C, scene.options.repair_after);  // another's loss, not this one's, began the grace
  REQUIRE(scene.Plan().replaced == 1);
}

TEST_CASE("nothing is dropped while a copy that is recorded as in sync is away",
          "[metaserver][repair]") {
  Scene scene;
  const GroupId id = scene.Add(1, {A, B});
  scene.Take(scene.members.PlanAdd(id, C));
  scene.Take(scene.members.PlanSynced(id, C, 2));
  scene.Take(scene.members.PlanRemove(id, A, {B}));
  scene.Take(scene.members.PlanConfirm(id, B, 4));
  REQUIRE(scene.Plan().drops.size() == 1);
  scene.Silent(B);
  scene.Silent(C);
  REQUIRE(scene.Plan().groups.empty());
  REQUIRE(scene.Plan().drops.empty());
}

TEST_CASE("a failing disk with the only copy can be drained, an absent one is waited for",
          "[metaserver][drain]") {
  Scene scene(1);
  scene.Add(1, {A});
  scene.inventory.targets[A].record.set_draining(true);
  scene.inventory.targets[A].health.set_state(wire::TARGET_FAILED);
  const RepairPlan plan = scene.Plan();
  REQUIRE(plan.drained == 1);
  REQUIRE(plan.groups.at(0).members.size() == 2);
  REQUIRE(plan.stuck.empty());
  scene.Silent(A);
  REQUIRE(scene.Plan().drained == 0);
  REQUIRE(scene.Plan().stuck.at(A) == 1);
}

TEST_CASE("what a group takes is told by all that a target stores, dropped soon or not",
          "[metaserver][repair]") {
  Scene scene;
  scene.Add(1, {A, B});
  const GroupId left = scene.Add(2, {A, B});
  scene.Take(scene.members.PlanRemove(left, A, {B}));  // not confirmed yet
  const GroupId former = scene.Add(3, {A, B});
  scene.Take(scene.members.PlanRemove(former, A, {B}));
  scene.Take(scene.members.PlanConfirm(former, B, 2));
  scene.inventory.targets[A].health.set_stored_bytes(30 * kGiB);
  const auto facts = [&] {
    return GatherTargetFacts(scene.inventory, scene.members, kNow, absl::Seconds(5));
  };
  REQUIRE(facts().at(A).groups == 1);
  REQUIRE(facts().at(A).copies == 3);
  REQUIRE(facts().at(A).bytes_each() == 10 * kGiB);
  REQUIRE(facts().at(C).bytes_each() == 0);
}
