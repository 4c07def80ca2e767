// What operators see of drains and of rebalancing. Pure.
#pragma once

#include <vector>

#include "metaserver/cluster/cluster_view.h"
#include "metaserver/cluster/drain_plan.h"

namespace penstock::metaserver {

// Sums up the moves from each target to each other one.
void AddShares(const std::vector<PlannedMove>& moves,
               google::protobuf::RepeatedPtrField<wire::MoveShare>& shares);

// Drains, rebalancing, and whether it is needed: into the view's targets, `rebalance` and problems.
// After the targets are in the view.
void AddMoves(const ViewSources& sources, ClusterView& view);

}  // namespace penstock::metaserver
