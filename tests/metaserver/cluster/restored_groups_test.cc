// What a restored cluster is made of: records, registration and groups, with chunkservers that are
// only messages.
#include "metaserver/cluster/restored_groups.h"

#include "metaserver/cluster/restored_records.h"
#include "tests/metaserver/cluster/cluster_fixture.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

// Of 64 groups.
std::string Bits(const std::vector<uint32_t>& groups) {
  std::string bits(8, '\0');
  for (uint32_t group : groups)
    bits[group / 8] = static_cast<char>(bits[group / 8] | 1 << (group % 8));
  return bits;
}

Inventory ThreeServers() {
  Inventory inventory;
  for (uint32_t id = 1; id <= 3; ++id) {
    ServerEntry& server = inventory.servers[ServerId(id)];
    server.record.mutable_server()->set_server_id(id);
    server.record.mutable_server()->set_hostname("node" + std::to_string(id));
    server.instance = "i";
    TargetEntry& target = inventory.targets[TargetId(id)];
    target.record.mutable_target()->set_target_id(id);
    target.record.mutable_target()->set_server_id(id);
    target.health.set_target_id(id);
    target.health.set_state(wire::TARGET_ONLINE);
    target.health.set_capacity_bytes(kGiB);
    target.held.set_target_id(id);
    target.held.set_group_count(64);
    target.held.set_groups(Bits({}));
  }
  return inventory;
}

RestoredGroupsRequest RequestOf(const Inventory& inventory) {
  RestoredGroupsRequest request{.inventory = inventory,
                                .group_count = 64,
                                .first_epoch = 1000,
                                .now = absl::ZeroDuration(),
                                .offline_after = absl::Seconds(5)};
  request.storage_class.mutable_storage_class()->set_storage_class(1);
  request.storage_class.mutable_storage_class()->set_replication(2);
  return request;
}

}  // namespace

TEST_CASE("restored groups have those as members that hold their chunks, and nobody is in sync",
          "[metaserver][restore]") {
  Inventory inventory = ThreeServers();
  inventory.targets[TargetId(2)].held.set_groups(Bits({5, 9}));
  inventory.targets[TargetId(3)].held.set_groups(Bits({5}));
  auto plan = PlanRestoredGroups(RequestOf(inventory));
  REQUIRE(plan.ok());
  REQUIRE(plan->groups.size() == 64);
  REQUIRE(plan->with_chunks == 2);
  for (const Membership& group : plan->groups) {
    REQUIRE(CheckMembership(group).empty());
    REQUIRE(group.epoch == 1000);
  }
  const Membership& both = plan->groups[5];
  REQUIRE(both.reconciling());
  REQUIRE(both.basis == std::vector<TargetId>{TargetId(2), TargetId(3)});
  REQUIRE(plan->groups[9].members.size() == 1);
  REQUIRE(plan->groups[9].members[0].target == TargetId(2));
  REQUIRE(plan->groups[7].in_sync() == 2);  // nothing was written there
  REQUIRE(NotReported(RequestOf(inventory)).empty());
}

TEST_CASE("who has not said what he holds is named", "[metaserver][restore]") {
  Inventory inventory = ThreeServers();
  inventory.targets[TargetId(1)].held.Clear();
  inventory.servers[ServerId(3)].instance.clear();
  const auto missing = NotReported(RequestOf(inventory));
  REQUIRE(missing.size() == 2);
  REQUIRE_FALSE(PlanRestoredGroups(RequestOf(inventory)).ok());  // one target, two copies
}

TEST_CASE("what was removed is not missed, does not count, and what drains gets no new group",
          "[metaserver][restore]") {
  Inventory inventory = ThreeServers();
  for (uint32_t id : {4u, 5u}) {  // a server that lives with a removed target, one that is gone
    ServerEntry& server = inventory.servers[ServerId(id)];
    server.record.mutable_server()->set_server_id(id);
    if (id == 4) server.instance = "i";
    TargetEntry& target = inventory.targets[TargetId(id)];
    target = inventory.targets[TargetId(1)];
    target.record.mutable_target()->set_target_id(id);
    target.record.mutable_target()->set_server_id(id);
    target.record.set_removed(true);
    target.held.set_groups(Bits({5}));
  }
  inventory.targets[TargetId(3)].record.set_draining(true);
  inventory.targets[TargetId(3)].held.set_groups(Bits({9}));
  REQUIRE(NotReported(RequestOf(inventory)).empty());
  const auto plan = PlanRestoredGroups(RequestOf(inventory));
  REQUIRE(plan.ok());
  REQUIRE(plan->targets == 3);
  REQUIRE(plan->with_chunks == 1);
  for (const Membership& group : plan->groups) {
    const bool drains = group.Find(TargetId(3)) != nullptr;
    REQUIRE(drains == (group.id.number == 9));
    REQUIRE(group.Find(TargetId(4)) == nullptr);
  }
  inventory.targets[TargetId(2)].record.set_draining(true);  // too few without them
  REQUIRE(PlanRestoredGroups(RequestOf(inventory)).ok());
}

TEST_CASE("restored records go on far ahead, without groups", "[metaserver][restore]") {
  ClusterRecords backup;
  backup.cluster.set_map_version(7);
  backup.cluster.set_last_target_id(3);
  record::StorageClass& c = backup.classes.emplace_back();
  c.mutable_storage_class()->set_storage_class(1);
  c.mutable_storage_class()->set_group_count(64);
  record::Group& group = backup.groups.emplace_back();
  group.mutable_group()->set_epoch(12);
  record::Fence& fence = backup.fences.emplace_back();
  fence.set_session_id(4);
  fence.set_version(9);
  auto restored = AsRestored(backup, {{21, 22}, 100});
  REQUIRE(restored.ok());
  const ClusterRecords& now = restored->now;
  REQUIRE(now.cluster.map_version() == 7 + kSkippedVersions);
  REQUIRE(now.cluster.last_target_id() == 3 + kSkippedMembers);
  REQUIRE(now.cluster.restored_epoch() == 12 + kSkippedEpochs);
  REQUIRE(now.cluster.restored_group_count() == 64);
  REQUIRE(now.groups.empty());
  REQUIRE(now.classes[0].storage_class().group_count() == 0);
  REQUIRE(now.classes[0].changed() == now.cluster.map_version());
  REQUIRE(now.fences.size() == 3);
  REQUIRE(now.fences[1].version() >= 9 + kSkippedVersions);
  // A second restore of such a state goes on from there.
  auto again = AsRestored(now, {{23}, 100});
  REQUIRE(again.ok());
  REQUIRE(again->now.cluster.restored_epoch() == 12 + 2 * kSkippedEpochs);
  REQUIRE(again->now.cluster.restored_group_count() == 64);
  backup.groups[0].mutable_group()->set_epoch(UINT32_MAX);
  REQUIRE(absl::IsResourceExhausted(AsRestored(backup, {{21}, 100}).status()));
}
