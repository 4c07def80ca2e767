#include "common/cluster_map.h"

#include <catch2/catch.hpp>

#include "common/status.h"

using namespace penstock;

namespace {

wire::ClusterMap WholeMap() {
  wire::ClusterMap map;
  map.set_version(5);
  map.set_cluster_id("c1");
  for (uint32_t id : {1u, 2u}) {
    auto* server = map.add_servers();
    server->set_server_id(id);
    auto* target = map.add_targets();
    target->set_target_id(10 + id);
    target->set_server_id(id);
  }
  auto* storage_class = map.add_classes();
  storage_class->set_storage_class(1);
  storage_class->set_group_count(4);
  storage_class->set_replication(2);
  for (uint32_t n = 0; n < 4; ++n) {
    auto* group = map.add_groups();
    group->set_storage_class(1);
    group->set_number(n);
    group->set_epoch(1);
    group->add_members()->set_target_id(11 + n % 2);
    group->add_members()->set_target_id(12 - n % 2);
  }
  return map;
}

}  // namespace

TEST_CASE("a whole map is decoded and found by position", "[common][cluster_map]") {
  ClusterMap map;
  REQUIRE(map.Apply(WholeMap()).ok());
  REQUIRE(map.version() == 5);
  REQUIRE(map.ServerOf(TargetId(12))->server_id() == 2);
  REQUIRE(map.FindServer(ServerId(9)) == nullptr);
  const Group* group = map.GroupOf(1, 7);
  REQUIRE(group != nullptr);
  REQUIRE(group->id.number == 3);
  REQUIRE(group->members.front().target == TargetId(12));
  REQUIRE(map.GroupOf(2, 7) == nullptr);
  REQUIRE(map.ToWire().groups_size() == 4);
}

TEST_CASE("a change replaces what it names and keeps the rest", "[common][cluster_map]") {
  ClusterMap map;
  REQUIRE(map.Apply(WholeMap()).ok());
  wire::ClusterMap change;
  change.set_since(5);
  change.set_version(6);
  change.set_cluster_id("c1");
  auto* group = change.add_groups();
  group->set_storage_class(1);
  group->set_number(2);
  group->set_epoch(2);
  group->add_members()->set_target_id(12);
  REQUIRE(map.Apply(change).ok());
  REQUIRE(map.FindGroup({1, 2})->epoch == 2);
  REQUIRE(map.FindGroup({1, 2})->members.size() == 1);
  REQUIRE(map.FindGroup({1, 1})->members.size() == 2);
}

TEST_CASE("a map that cannot be applied changes nothing", "[common][cluster_map]") {
  ClusterMap map;
  REQUIRE(map.Apply(WholeMap()).ok());
  wire::ClusterMap gap;
  gap.set_cluster_id("c1");
  gap.set_since(7);
  gap.set_version(8);
  REQUIRE(absl::IsAborted(map.Apply(gap)));

  wire::ClusterMap foreign = WholeMap();
  foreign.set_cluster_id("c2");
  foreign.set_version(9);
  REQUIRE(ReasonOf(map.Apply(foreign)) == Reason::kWrongCluster);

  wire::ClusterMap odd = WholeMap();
  odd.set_version(9);
  odd.mutable_classes(0)->set_group_count(3);
  REQUIRE(absl::IsInvalidArgument(map.Apply(odd)));

  wire::ClusterMap outside = WholeMap();
  outside.set_version(9);
  outside.mutable_groups(0)->set_number(4);
  REQUIRE(absl::IsInvalidArgument(map.Apply(outside)));
  REQUIRE(map.version() == 5);
}
