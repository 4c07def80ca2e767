#include "metaserver/cluster/restored_groups.h"

#include <absl/strings/str_cat.h>

#include "common/status.h"
#include "metaserver/cluster/group_placement.h"

namespace penstock::metaserver {
namespace {

bool Reported(const RestoredGroupsRequest& request, const TargetEntry& target) {
  if (target.record.removed()) return false;  // a directory that may be left over
  auto server = request.inventory.servers.find(target.server());
  return server != request.inventory.servers.end() &&
         server->second.live(request.now, request.offline_after) &&
         target.held.group_count() == request.group_count &&
         target.held.groups().size() == (request.group_count + 7) / 8;
}

bool Holds(const TargetEntry& target, uint32_t group) {
  return (static_cast<uint8_t>(target.held.groups()[group / 8]) >> (group % 8) & 1) != 0;
}

absl::StatusOr<std::vector<std::vector<TargetId>>> PlaceOn(const RestoredGroupsRequest& request,
                                                           bool draining_too) {
  PlacementRequest placement;
  placement.group_count = request.group_count;
  placement.replication = request.storage_class.storage_class().replication();
  placement.seed = request.storage_class.placement_seed();
  for (const auto& [id, target] : request.inventory.targets) {
    if (!Reported(request, target) || target.health.state() != wire::TARGET_ONLINE) continue;
    if (target.record.draining() && !draining_too) continue;
    placement.targets.push_back(
        {.target = id,
         .server = target.server(),
         .rack = request.inventory.servers.at(target.server()).record.server().rack(),
         .capacity_bytes = target.capacity_bytes(),
         .disk = target.disk_id()});
  }
  return PlaceGroups(placement);
}

// For the groups that nobody holds. Where too few targets are left without those that are being
// drained, these take part, and give the groups away when they can.
absl::StatusOr<std::vector<std::vector<TargetId>>> Place(const RestoredGroupsRequest& request) {
  auto placed = PlaceOn(request, /*draining_too=*/false);
  return placed.ok() ? std::move(placed) : PlaceOn(request, /*draining_too=*/true);
}

}  // namespace

std::vector<std::string> NotReported(const RestoredGroupsRequest& request) {
  std::vector<std::string> missing;
  for (const auto& [id, server] : request.inventory.servers) {
    if (server.live(request.now, request.offline_after)) continue;
    if (!AllRemoved(request.inventory, id)) missing.push_back(Describe(server));
  }
  for (const auto& [id, target] : request.inventory.targets) {
    if (target.record.removed()) continue;
    auto server = request.inventory.servers.find(target.server());
    const bool live = server != request.inventory.servers.end() &&
                      server->second.live(request.now, request.offline_after);
    if (live && !Reported(request, target)) {
      missing.push_back(Describe(request.inventory, target));
    }
  }
  return missing;
}

absl::StatusOr<RestoredGroups> PlanRestoredGroups(const RestoredGroupsRequest& request) {
  ASSIGN_OR_RETURN(const auto placed, Place(request));
  RestoredGroups plan;
  std::vector<const TargetEntry*> reported;
  for (const auto& [id, target] : request.inventory.targets) {
    if (Reported(request, target)) reported.push_back(&target);
  }
  plan.targets = static_cast<uint32_t>(reported.size());
  const uint32_t storage_class = request.storage_class.storage_class().storage_class();
  for (uint32_t number = 0; number < request.group_count; ++number) {
    Membership group = MemberTable::NewGroup({storage_class, number}, placed[number]);
    group.epoch = group.confirmed_epoch = request.first_epoch;
    std::vector<TargetId> holders;  // sorted, as the targets are
    for (const TargetEntry* target : reported) {
      if (Holds(*target, number)) holders.push_back(target->id());
    }
    if (!holders.empty()) {
      ++plan.with_chunks;
      group.confirmed_epoch = 0;
      group.basis = group.rebooted = holders;
      group.members.clear();
      for (TargetId target : holders) group.members.push_back({target, wire::MEMBER_SYNCING});
    }
    plan.groups.push_back(std::move(group));
  }
  return plan;
}

}  // namespace penstock::metaserver
