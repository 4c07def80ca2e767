#include "metaserver/cluster/cluster_view.h"

#include <absl/functional/function_ref.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>

#include "metaserver/cluster/cluster_records.h"
#include "metaserver/cluster/move_view.h"
#include "metaserver/cluster/repair_view.h"

namespace penstock::metaserver {
namespace {

// Of a group that still counts its copies, or has not had them dropped.
bool WasMember(const MemberTable& members, TargetId target) {
  return std::any_of(members.groups().begin(), members.groups().end(), [&](const auto& entry) {
    const Membership& group = entry.second;
    return std::binary_search(group.former.begin(), group.former.end(), target) ||
           std::binary_search(group.basis.begin(), group.basis.end(), target);
  });
}

std::string Ago(absl::Duration age) { return absl::StrCat(absl::ToInt64Seconds(age), " s"); }

struct Disk {
  uint64_t capacity_bytes = 0;
  uint64_t free_bytes = 0;
};

// Targets that share a disk report the same space: it counts once. Of an offline server only the
// capacity is known.
Disk SumOfDisks(const Inventory& inventory, absl::FunctionRef<bool(const TargetEntry&)> counts) {
  std::map<std::string, Disk> disks;
  for (const auto& [id, target] : inventory.targets) {
    if (target.record.removed() || !counts(target)) continue;
    const std::string& disk_id = target.disk_id();
    Disk& disk = disks[disk_id.empty() ? absl::StrCat("target ", id.value()) : disk_id];
    disk.capacity_bytes = std::max(disk.capacity_bytes, target.capacity_bytes());
    if (IsOnline(inventory, id)) {
      disk.free_bytes = std::max(disk.free_bytes, target.health.free_bytes());
    }
  }
  Disk sum;
  for (const auto& [id, disk] : disks) {
    sum.capacity_bytes += disk.capacity_bytes;
    sum.free_bytes += disk.free_bytes;
  }
  return sum;
}

// Its targets were removed and it is gone: nobody misses it.
bool IsEmptied(const ViewSources& from, const ServerEntry& server) {
  return server.record.server().state() != wire::SERVER_ONLINE &&
         AllRemoved(from.inventory, server.id());
}

void AddServers(const ViewSources& from, ClusterView& view) {
  for (const auto& [id, server] : from.inventory.servers) {
    if (IsEmptied(from, server)) continue;
    wire::ServerInfo& info = view.servers.emplace_back();
    *info.mutable_server() = server.record.server();
    info.set_last_heartbeat_ms(
        static_cast<uint64_t>(absl::ToInt64Milliseconds(from.now - server.heard)));
    for (const auto& [target_id, target] : from.inventory.targets) {
      if (target.server() != id || target.record.removed()) continue;
      info.set_targets(info.targets() + 1);
    }
    const Disk sum = SumOfDisks(from.inventory, [server_id = id](const TargetEntry& target) {
      return target.server() == server_id;
    });
    info.set_capacity_bytes(sum.capacity_bytes);
    info.set_free_bytes(sum.free_bytes);
    if (server.record.server().state() != wire::SERVER_ONLINE) {
      const std::string heard =
          server.instance.empty()
              ? absl::StrCat("not heard since the metaserver started ",
                             Ago(from.now - from.started), " ago")
              : absl::StrCat("last heard ", Ago(from.now - server.heard), " ago");
      view.problems.push_back(absl::StrCat(
          Describe(server), " is offline, ", heard,
          ": start penstock-chunkserver there again (`penstock up DIR` on one machine) "
          "and look at its log"));
    }
  }
}

void AddTargetProblems(const ViewSources& from, const TargetEntry& target, bool has_groups,
                       ClusterView& view) {
  const std::string name = Describe(from.inventory, target);
  const std::string why =
      target.health.problem().empty() ? "" : absl::StrCat(" (", target.health.problem(), ")");
  switch (target.record.target().state()) {
    case wire::TARGET_ABSENT:
      view.problems.push_back(absl::StrCat(
          name, " is absent", why,
          ": mount its disk or bring its directory back, then restart the chunkserver"));
      return;
    case wire::TARGET_FAILED:
      // Its server says what to do.
      view.problems.push_back(
          absl::StrCat(name, " has failed: ",
                       target.health.problem().empty()
                           ? "look at its disk (dmesg, smartctl) and restart the chunkserver"
                           : target.health.problem()));
      return;
    case wire::TARGET_ONLINE:
      break;
    default:
      return;  // its server's line says it
  }
  if (!why.empty()) {
    view.problems.push_back(absl::StrCat(name, ": ", target.health.problem()));
  }
  if (target.health.io_errors() + target.health.checksum_errors() > 0) {
    view.problems.push_back(absl::StrCat(
        name, " had ", target.health.io_errors(), " I/O errors and ",
        target.health.checksum_errors(), " wrong checksums since its server started, and ",
        target.health.repaired_chunks(), " copies were repaired: look at its disk"));
  }
  const double capacity = static_cast<double>(target.capacity_bytes());
  if (target.reported() && capacity > 0 &&
      static_cast<double>(target.health.free_bytes()) < kNearlyFull * capacity) {
    view.problems.push_back(absl::StrCat(name, " has only ", target.health.free_bytes() >> 20,
                                         " MiB free: delete files, or free space on its disk"));
  }
  // One that was away joins its groups again within a tick.
  if (!has_groups && !WasMember(from.members, target.id()) && from.formation_problem.empty() &&
      !target.record.draining() && !from.rebalance.running()) {
    view.problems.push_back(absl::StrCat(
        name,
        " holds no groups: it registered after they were formed and stays unused until "
        "it takes a lost target's place or `penstock rebalance start` gives it its share"));
  }
}

void AddTargets(const ViewSources& from, ClusterView& view) {
  for (const auto& [id, target] : from.inventory.targets) {
    if (target.record.removed()) continue;
    wire::TargetInfo& info = view.targets.emplace_back();
    *info.mutable_target() = target.record.target();
    info.set_capacity_bytes(target.capacity_bytes());
    info.set_free_bytes(target.health.free_bytes());
    info.set_stored_bytes(target.health.stored_bytes());
    info.set_chunks(target.health.chunks());
    info.set_io_errors(target.health.io_errors());
    info.set_checksum_errors(target.health.checksum_errors());
    info.set_problem(target.health.problem());
    info.set_damaged_chunks(target.health.damaged_chunks());
    info.set_repaired_chunks(target.health.repaired_chunks());
    info.set_lost_chunks(target.health.lost_chunks());
    info.set_sync_chunks_done(target.syncing.chunks_done());
    info.set_sync_bytes_fetched(target.syncing.bytes_fetched());
    auto places = from.places.find(id);
    if (places != from.places.end()) {
      info.set_groups(places->second.groups);
      info.set_groups_head(places->second.heads);
      info.set_groups_syncing(places->second.syncing);
    }
    auto server = from.inventory.servers.find(target.server());
    if (server != from.inventory.servers.end()) {
      info.set_hostname(server->second.record.server().hostname());
    }
    AddTargetProblems(from, target, info.groups() > 0, view);
  }
}

void AddGroups(const ViewSources& from, ClusterView& view) {
  std::map<std::string, uint32_t> by_state;
  for (const auto& [id, group] : from.members.groups()) {
    wire::GroupInfo& info = view.groups.emplace_back();
    *info.mutable_group() = ToRecord(group).group();
    info.set_replication(ReplicationOf(from, id.storage_class));
    info.set_state(GroupState(group, from.inventory, info.replication()));
    info.set_confirmed_epoch(group.confirmed_epoch);
    for (TargetId target : group.basis) info.add_basis(target.value());
    for (TargetId target : group.former) info.add_former(target.value());
    auto notes = from.notes.find(id);
    if (notes != from.notes.end() && notes->second.below_goal_since != absl::InfiniteDuration()) {
      info.set_below_goal_ms(static_cast<uint64_t>(
          absl::ToInt64Milliseconds(from.now - notes->second.below_goal_since)));
    }
    ++by_state[info.state()];
  }
  for (const auto& [state, count] : by_state) {
    wire::GroupsByState& groups = view.groups_by_state.emplace_back();
    groups.set_state(state);
    groups.set_groups(count);
  }
}

}  // namespace

bool IsOnline(const Inventory& inventory, TargetId id) {
  auto target = inventory.targets.find(id);
  return target != inventory.targets.end() &&
         target->second.record.target().state() == wire::TARGET_ONLINE;
}

uint32_t ReplicationOf(const ViewSources& from, uint32_t storage_class) {
  auto found = from.classes.find(storage_class);
  return found == from.classes.end() ? from.options.replication
                                     : found->second.storage_class().replication();
}

std::string GroupState(const Membership& group, const Inventory& inventory, uint32_t replication) {
  size_t good = 0;
  size_t online = 0;
  for (const GroupMember& member : group.members) {
    if (!IsOnline(inventory, member.target)) continue;
    ++online;
    good += member.state == wire::MEMBER_IN_SYNC;
  }
  if (good == 0) return "unavailable";
  // One that is behind is one too many here: it comes, or goes.
  return good >= replication && online == group.members.size() ? "healthy" : "degraded";
}

ClusterView MakeClusterView(const ViewSources& sources) {
  ClusterView view;
  AddServers(sources, view);
  AddTargets(sources, view);
  for (const auto& [id, storage_class] : sources.classes) {
    view.classes.push_back(storage_class.storage_class());
  }
  if (!sources.formation_problem.empty()) view.problems.push_back(sources.formation_problem);
  AddGroups(sources, view);
  AddRepair(sources, view);
  AddMoves(sources, view);
  const Disk sum = SumOfDisks(sources.inventory, [](const TargetEntry&) { return true; });
  view.capacity_bytes = sum.capacity_bytes;
  view.free_bytes = sum.free_bytes;
  return view;
}

ClusterSpace MakeClusterSpace(const ViewSources& sources) {
  ClusterSpace space;
  const Disk sum = SumOfDisks(sources.inventory, [&](const TargetEntry& target) {
    return sources.places.empty() || sources.places.contains(target.id());
  });
  const uint64_t copies = std::max<uint32_t>(1, sources.options.replication);
  space.total_bytes = sum.capacity_bytes / copies;
  space.free_bytes = std::min(sum.free_bytes / copies, space.total_bytes);
  space.available_bytes = space.free_bytes;
  return space;
}

}  // namespace penstock::metaserver
