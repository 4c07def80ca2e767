// Which groups go from which target to which other one, so that all are filled alike. Pure.
//
// Two measures, in this order:
//  - *used*: what a target stores, of that and what is free (shared out where targets share a
//    disk). Files of others count for nobody. While the fullest and the emptiest target are further
//    apart than the threshold, groups go from full ones to empty ones.
//  - *groups*: each target's share of them by its size, as when groups are formed. What will be
//    written goes by it, so an empty target gets its share of groups at once. A move for the sake
//    of groups never goes to a fuller target, nor brings used parts further apart than the
//    threshold.
// Each move brings its two targets nearer to each other, so it ends.
#pragma once

#include <absl/functional/function_ref.h>

#include <vector>

#include "metaserver/cluster/drain_plan.h"

namespace penstock::metaserver {

struct RebalanceSources {
  const TargetFactsMap& facts;
  const MemberTable& members;
  const StorageClasses& classes;
  double threshold = 0;  // of used parts
  uint64_t seed = 0;
  absl::FunctionRef<bool(GroupId)> may_move;  // beside being whole
};
struct RebalanceLimits {
  uint32_t per_target = UINT32_MAX;  // groups on their way to it, and away from it
  size_t moves = SIZE_MAX;
};
// The next moves; none: balanced as far as failure domains and room allow, or at a limit.
std::vector<PlannedMove> PlanRebalance(const RebalanceSources& sources,
                                       const RebalanceLimits& limits);

// It takes part in rebalancing.
bool Rebalances(const TargetFacts& facts);

}  // namespace penstock::metaserver
