// The groups of a cluster whose metadata was restored: formed from what the chunkservers hold, not
// from the backup's members, of which some may have dropped their copies since while others got
// them. Pure.
//
// Every target that holds a chunk of a group becomes a member, and none is in sync: the members
// exchange what they have and adopt, per chunk, the highest version that any of them holds, as
// after a reboot of all. So nothing that anybody has is lost, and nobody answers for a group before
// it is whole. Groups of which nobody holds anything are placed as new ones.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "metaserver/cluster/inventory.h"
#include "metaserver/cluster/member_table.h"

namespace penstock::metaserver {

struct RestoredGroupsRequest {
  const Inventory& inventory;
  record::StorageClass storage_class;
  uint32_t group_count = 0;
  uint32_t first_epoch = 0;
  absl::Duration now;  // Clock::SinceBoot()
  absl::Duration offline_after;
};
struct RestoredGroups {
  std::vector<Membership> groups;
  uint32_t with_chunks = 0;
  uint32_t targets = 0;  // that said what they hold
};

// Servers and targets that have not said what they hold, for people. A target that is known to be
// absent is among them: its copies would be left out. What was removed from the cluster is not.
std::vector<std::string> NotReported(const RestoredGroupsRequest& request);

// FAILED_PRECONDITION: too few targets to place a group.
absl::StatusOr<RestoredGroups> PlanRestoredGroups(const RestoredGroupsRequest& request);

}  // namespace penstock::metaserver
