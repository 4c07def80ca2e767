#include "metaserver/cluster/target_facts.h"

#include "metaserver/cluster/group_placement.h"

namespace penstock::metaserver {
namespace {

TargetFacts::Health HealthOf(const ServerEntry& server, const TargetEntry& target,
                             absl::Duration now, absl::Duration offline_after) {
  using Health = TargetFacts::Health;
  if (now - server.heard > offline_after) return Health::kSilent;
  if (server.instance.empty()) return Health::kUnknown;
  switch (target.health.state()) {
    case wire::TARGET_ONLINE:
      return Health::kServing;
    case wire::TARGET_FAILED:
      return Health::kFailed;
    case wire::TARGET_ABSENT:
      return Health::kAbsent;
    default:
      return Health::kUnknown;
  }
}

}  // namespace

TargetFactsMap GatherTargetFacts(const Inventory& inventory, const MemberTable& members,
                                 absl::Duration now, absl::Duration offline_after) {
  TargetFactsMap all;
  for (const auto& [id, target] : inventory.targets) {
    auto server = inventory.servers.find(target.server());
    if (server == inventory.servers.end()) continue;
    TargetFacts& facts = all[id];
    facts.health = HealthOf(server->second, target, now, offline_after);
    facts.map_version = server->second.map_version;
    facts.domain = FailureDomain(
        {.target = id, .server = target.server(), .rack = server->second.record.server().rack()});
    facts.capacity_bytes = target.capacity_bytes();
    facts.free_bytes = target.health.free_bytes();
    facts.stored_bytes = target.health.stored_bytes();
  }
  for (const auto& [id, group] : members.groups()) {
    for (const GroupMember& member : group.members) {
      TargetFacts& facts = all[member.target];
      ++facts.groups;
      facts.syncing += member.state == wire::MEMBER_SYNCING ? 1 : 0;
    }
  }
  return all;
}

}  // namespace penstock::metaserver
