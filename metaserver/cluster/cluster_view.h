// What operators see of the cluster: servers, targets, groups by state, and one line for each
// problem with its fix. Pure: made from the inventory and the member table.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <string>
#include <vector>

#include "metaserver/cluster/cluster_options.h"
#include "metaserver/cluster/inventory.h"
#include "metaserver/cluster/member_table.h"
#include "metaserver/cluster/repair_plan.h"
#include "metaserver/service/map_source.h"
#include "proto/admin.pb.h"

namespace penstock::metaserver {

struct Places {
  uint32_t groups = 0;
  uint32_t heads = 0;
  uint32_t syncing = 0;
};
using PlaceCounts = absl::flat_hash_map<TargetId, Places>;

struct ClusterView {
  uint64_t map_version = 0;
  bool restored = false;  // the groups wait for `penstock backup finish`
  std::vector<wire::ServerInfo> servers;
  std::vector<wire::TargetInfo> targets;
  std::vector<wire::MapStorageClass> classes;
  std::vector<wire::GroupInfo> groups;
  std::vector<wire::GroupsByState> groups_by_state;
  wire::RepairInfo repair;
  wire::RebalanceInfo rebalance;
  std::vector<std::string> problems;
  uint64_t capacity_bytes = 0;  // of all disks, each once
  uint64_t free_bytes = 0;
};

// What the last tick found of moves; in memory only.
struct MovesNow {
  absl::btree_map<TargetId, uint32_t> stuck;  // groups of draining targets that nobody can take
  std::string rebalance_waits_for;
  absl::Duration next_rebalance;  // Clock::SinceBoot()
  // Planned now and then, see ClusterState::LookAhead.
  uint32_t groups_left = 0;  // that a rebalance which runs has still to begin
  uint64_t bytes_left = 0;   // of them, about
  bool unbalanced = false;   // one would move something; only while none runs
  absl::Duration looked_ahead = -absl::InfiniteDuration();  // Clock::SinceBoot()
  bool changed = false;                                     // the cluster, since then
};

struct ViewSources {
  const Inventory& inventory;
  const MemberTable& members;
  const PlaceCounts& places;
  const absl::btree_map<uint32_t, record::StorageClass>& classes;
  const ClusterOptions& options;
  const std::string& formation_problem;  // empty once the groups are formed
  const GroupNotesMap& notes;
  absl::Duration now;  // Clock::SinceBoot()
  absl::Duration started;
  const record::Rebalance& rebalance;
  const MovesNow& moves;
};

// The goal of the class's groups.
uint32_t ReplicationOf(const ViewSources& sources, uint32_t storage_class);
bool IsOnline(const Inventory& inventory, TargetId target);

ClusterView MakeClusterView(const ViewSources& sources);
ClusterSpace MakeClusterSpace(const ViewSources& sources);

// "healthy": every copy online and enough in sync; "degraded": at least one; "unavailable": none.
std::string GroupState(const Membership& group, const Inventory& inventory, uint32_t replication);

}  // namespace penstock::metaserver
