// What operators see of failure handling: how many groups are below their goal, what is on its way,
// and one line for each problem with its fix, a bounded number of them. Pure.
#pragma once

#include "metaserver/cluster/cluster_view.h"

namespace penstock::metaserver {

// Adds to `view.repair` and `view.problems`.
void AddRepair(const ViewSources& sources, ClusterView& view);

}  // namespace penstock::metaserver
