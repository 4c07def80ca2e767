#include "metaserver/cluster/target_facts.h"

#include <absl/strings/str_cat.h>

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
  absl::flat_hash_map<std::string, double> sharers;
  for (const auto& [id, target] : inventory.targets) {
    if (target.record.removed()) continue;
    auto server = inventory.servers.find(target.server());
    if (server == inventory.servers.end()) continue;
    TargetFacts& facts = all[id];
    facts.health = HealthOf(server->second, target, now, offline_after);
    facts.unheard = now - server->second.heard;
    facts.map_version = server->second.map_version;
    facts.domain = FailureDomain(
        {.target = id, .server = target.server(), .rack = server->second.record.server().rack()});
    facts.capacity_bytes = target.capacity_bytes();
    facts.free_bytes = target.health.free_bytes();
    facts.stored_bytes = target.health.stored_bytes();
    facts.draining = target.record.draining();
    facts.onto = TargetId(target.record.drain_onto());
    facts.disk = target.disk_id().empty() ? absl::StrCat("target ", id.value()) : target.disk_id();
    sharers[facts.disk] += 1;
  }
  for (auto& [id, facts] : all) {
    const double targets = sharers[facts.disk];
    facts.size = static_cast<double>(facts.capacity_bytes) / targets;
    facts.usable =
        static_cast<double>(facts.stored_bytes) + static_cast<double>(facts.free_bytes) / targets;
  }
  for (const auto& [id, group] : members.groups()) {
    for (const GroupMember& member : group.members) {
      TargetFacts& facts = all[member.target];
      ++facts.groups;
      ++facts.copies;
      facts.syncing += member.state == wire::MEMBER_SYNCING ? 1 : 0;
    }
    for (TargetId target : group.Left()) {
      if (auto known = all.find(target); known != all.end()) ++known->second.copies;
    }
    ++all[HeadOf(group, all)].heads;
  }
  return all;
}

TargetId HeadOf(const Membership& group, const TargetFactsMap& facts) {
  for (const GroupMember& member : group.members) {
    auto known = facts.find(member.target);
    const bool draining = known != facts.end() && known->second.draining;
    if (member.target != group.leaving && !draining) return member.target;
  }
  return group.members.front().target;
}

}  // namespace penstock::metaserver
