// Which groups of draining targets get another target now, and what a drain would take. Pure.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/status/statusor.h>

#include <vector>

#include "metaserver/cluster/group_joins.h"

namespace penstock::metaserver {

using StorageClasses = absl::btree_map<uint32_t, record::StorageClass>;
// The goal of a group; 0: its class is not known.
uint32_t GoalOf(const StorageClasses& classes, GroupId id);

struct DrainStep {
  size_t moved = 0;                           // groups that got another target
  absl::btree_map<TargetId, uint32_t> stuck;  // groups that nobody can take, looked at in part
};
// Of the groups that are whole, each with a draining member gets another target as syncing, as far
// as targets have their turn. The draining member goes by SurplusOf.
DrainStep PlanDrains(const MemberTable& members, const StorageClasses& classes, GroupJoins& joins);

struct PlannedMove {
  GroupId group;
  TargetId from;
  TargetId to;
  uint64_t bytes = 0;  // about
};
struct DrainRequest {
  TargetId target;
  TargetId onto;  // may be none
};
// Where the groups of the target would go, before it is drained. FAILED_PRECONDITION: the others
// lack room (says how many bytes) or failure domains. NOT_FOUND: no such target.
absl::StatusOr<std::vector<PlannedMove>> ForecastDrain(const DrainRequest& request,
                                                       const MemberTable& members,
                                                       const StorageClasses& classes,
                                                       const TargetFactsMap& facts);

}  // namespace penstock::metaserver
