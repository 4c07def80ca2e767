#include "metaserver/cluster/target_removal.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace penstock::metaserver {

absl::StatusOr<std::vector<Membership>> PlanRemoval(TargetId target, const MemberTable& members,
                                                    const StorageClasses& classes) {
  MemberDraft draft(&members);
  uint32_t member_of = 0;
  uint32_t counts_in = 0;
  uint32_t awaited_by = 0;
  for (const auto& [id, group] : members.groups()) {
    if (group.Find(target) != nullptr) {
      ++member_of;
    } else if (std::binary_search(group.basis.begin(), group.basis.end(), target)) {
      ++counts_in;
    } else if (draft.Try(&MemberTable::PlanForget, id, target)) {
      awaited_by += group.in_sync() < GoalOf(classes, id) ? 1 : 0;
    }
  }
  const std::string name = absl::StrCat("target ", target.value());
  if (member_of > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " holds ", member_of, " groups: `penstock target drain ", target.value(),
                     " --wait` gives them to others first, `penstock target replace ",
                     target.value(), " NEW --wait` to the target NEW"));
  }
  if (awaited_by > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(awaited_by, " groups are a copy short and wait for ", name,
                     " to return: `penstock target drain ", target.value(),
                     " --wait` makes the copies elsewhere first, without waiting for it"));
  }
  if (counts_in > 0) {
    return absl::AbortedError(absl::StrCat(
        "the copies of ", counts_in, " groups that ", name,
        " has just left still count until other members have heard of it: try again in a few "
        "seconds"));
  }
  return draft.Changes();
}

}  // namespace penstock::metaserver
