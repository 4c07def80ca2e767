// Four servers as PlanRepair sees them at one moment.
#pragma once

#include <absl/strings/str_cat.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "common/units.h"
#include "metaserver/cluster/repair_plan.h"

namespace penstock::metaserver {

inline const TargetId A{1}, B{2}, C{3}, D{4};
inline constexpr absl::Duration kNow = absl::Hours(1);

// Servers 1 to 4 with one target each, all well; the map is at version 10.
class Scene {
 public:
  explicit Scene(uint32_t replication = 2) {
    for (uint32_t n = 1; n <= 4; ++n) {
      ServerEntry& server = inventory.servers[ServerId(n)];
      server.record.mutable_server()->set_server_id(n);
      server.instance = "instance";
      server.heard = kNow - absl::Seconds(1);
      server.map_version = 10;
      AddTarget(n, n);
    }
    classes[1].mutable_storage_class()->set_replication(replication);
  }
  void AddTarget(uint32_t id, uint32_t server) {
    TargetEntry& target = inventory.targets[TargetId(id)];
    target.record.mutable_target()->set_target_id(id);
    target.record.mutable_target()->set_server_id(server);
    target.health.set_target_id(id);
    target.health.set_state(wire::TARGET_ONLINE);
    target.health.set_capacity_bytes(100 * kGiB);
    target.health.set_free_bytes(90 * kGiB);
  }
  GroupId Add(uint32_t number, const std::vector<TargetId>& members) {
    const GroupId id{1, number};
    Take(MemberTable::NewGroup(id, members));
    notes[id].published = 3;
    return id;
  }
  void Take(absl::StatusOr<Membership> plan) {
    REQUIRE(plan.ok());
    members.Install(*std::move(plan));
  }
  void Silent(TargetId target, absl::Duration time = absl::Seconds(6)) {
    inventory.servers[ServerId(target.value())].heard = kNow - time;
  }
  RepairPlan Plan() { return PlanRepair({inventory, members, classes, notes, options, kNow}); }
  // "7: 1 2?" for each group that changes.
  static std::string Text(const RepairPlan& plan) {
    std::string text;
    for (const Membership& group : plan.groups) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", group.id.number, ":");
      for (const GroupMember& member : group.members) {
        absl::StrAppend(&text, " ", member.target.value(),
                        member.state == wire::MEMBER_SYNCING ? "?" : "");
      }
      REQUIRE(CheckMembership(group) == "");
    }
    return text;
  }

  Inventory inventory;
  MemberTable members;
  absl::btree_map<uint32_t, record::StorageClass> classes;
  GroupNotesMap notes;
  ClusterOptions options;
};

}  // namespace penstock::metaserver
