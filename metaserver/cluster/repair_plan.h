// What failure handling changes in the groups at this moment. Pure: ClusterState makes the result
// durable in one batch, publishes it as one map version, and asks again at the next tick.
//
// In this order, for each group:
//  1. Confirm: an in-sync member's server has taken the map with the group's epoch.
//  2. In sync: syncing members that said so for this epoch; a reconciling group when its whole
//  basis
//     did.
//  3. Away: a target that is silent or absent leaves where another live in-sync member goes on; the
//     last in-sync copy stays, and the group waits for it. Silence means that it has long stopped
//     to serve, absence that it cannot, so the new epoch may be used at once. A *failed* target's
//     server lives and may still answer reads: it is demoted first, and leaves when its server has
//     taken that epoch (or fell silent). So a live member is never removed under a reader.
//  4. Surplus: a group whose sent-away copies came to count again (all rebooted) has more members
//     than its goal, and one whose place another took does so, too (surplus.h). One member goes the
//     way of a failed one.
//  5. Return: a target that serves and was a member joins a group below its goal, as syncing.
//     A group whose members share a failure domain counts as below its goal, where others would
//     not.
//  6. Replacement: another target joins when the group was below its goal for repair_after; at once
//     when the one that is away is being drained and no other is awaited, or when members share a
//     failure domain.
//  7. Drain: another target joins a whole group beside a draining member (drain_plan.h).
//  8. Rebalance: another target joins a whole group beside a member marked as leaving
//     (rebalance_plan.h). Waits for all repairs and drains.
//  9. Drop: a former member of a group that has all its copies in sync and online drops its chunks,
//     unless it alone is in another failure domain than all members.
// 7 and 8: at most moves_per_target onto one target. 5 and 6: one syncing member a group at a time,
// groups with the fewest copies first, and no more than repairs_per_target onto one target.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "metaserver/cluster/cluster_options.h"
#include "metaserver/cluster/inventory.h"
#include "metaserver/cluster/member_table.h"
#include "metaserver/cluster/rebalance_step.h"
#include "metaserver/cluster/target_facts.h"

namespace penstock::metaserver {

// What is known of a group beside its record. All but `published` is in memory only: said again by
// the servers, and the grace before a replacement starts anew with the metaserver.
struct GroupNotes {
  uint64_t published = 0;  // the map version that brought its epoch
  // Since when it has fewer members than its goal; InfiniteFuture: it has them.
  absl::Duration below_goal_since = absl::InfiniteDuration();
  absl::btree_set<TargetId> synced;    // members that said so for its epoch
  absl::btree_set<TargetId> dropping;  // former members that were told to drop its chunks
  absl::btree_set<TargetId> dropped;   // former members that dropped its chunks in its epoch
};
using GroupNotesMap = absl::btree_map<GroupId, GroupNotes>;

struct RepairSources {
  const Inventory& inventory;
  const MemberTable& members;
  const absl::btree_map<uint32_t, record::StorageClass>& classes;
  const GroupNotesMap& notes;
  const ClusterOptions& options;
  absl::Duration now;  // Clock::SinceBoot()
  RebalanceWish rebalance = {};
};

struct RepairPlan {
  std::vector<Membership> groups;      // that change
  std::vector<wire::DropGroup> drops;  // orders to give, once `groups` are durable
  size_t confirmed = 0;
  size_t synced = 0;
  size_t reconciled = 0;
  size_t removed = 0;
  size_t demoted = 0;
  size_t surplus = 0;
  size_t returned = 0;
  size_t replaced = 0;
  size_t dropped = 0;
  size_t drained = 0;  // moves begun
  size_t leads = 0;    // passed on to another member
  // Groups of draining targets that nobody can take; looked at in part.
  absl::btree_map<TargetId, uint32_t> stuck;
  RebalanceStep rebalance;
  // One line for the log; "" when nothing but confirmations happened.
  std::string Summary() const;
};

RepairPlan PlanRepair(const RepairSources& sources);

// The groups of targets whose machine started again.
std::vector<Membership> PlanReboots(const MemberTable& members,
                                    const std::vector<TargetId>& rebooted);

}  // namespace penstock::metaserver
