// Whether a target may leave the cluster for good, and what that changes in groups. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <vector>

#include "metaserver/cluster/drain_plan.h"

namespace penstock::metaserver {

// The groups whose former member it is: they no longer wait for it to drop its chunks.
// FAILED_PRECONDITION: it is a member of groups, or one that is a copy short waits for its return.
// ABORTED: its copies of a group it has just left still count; soon they will not.
absl::StatusOr<std::vector<Membership>> PlanRemoval(TargetId target, const MemberTable& members,
                                                    const StorageClasses& classes);

}  // namespace penstock::metaserver
