#include "chunkserver/service/chunk_lookup.h"

#include <absl/strings/str_cat.h>

#include "common/status.h"

namespace penstock::chunkserver {

absl::Status CheckItemCount(int count) {
  if (count == 0) return absl::InvalidArgumentError("the request names no chunk");
  if (count > kMaxItems) {
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", kMaxItems, " chunks in a request"));
  }
  return absl::OkStatus();
}

absl::StatusOr<FoundChunk> FindChunk(const ClusterMap& map, const Targets& targets,
                                     const ChunkAddress& address) {
  if (!address.key.content.valid()) return absl::InvalidArgumentError("a chunk without content id");
  const Group* group = map.GroupOf(address.storage_class, address.key.position);
  if (group == nullptr) {
    return WithReason(absl::UnavailableError(absl::StrCat("storage class ", address.storage_class,
                                                          " has no groups here yet")),
                      Reason::kNoGroups);
  }
  FoundChunk found;
  found.target = targets.Find(address.target);
  if (found.target == nullptr) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat("target ", address.target.value(),
                                                                 " is not on this server")),
                      Reason::kNotMember);
  }
  found.view = ViewOf(*group, address.target);
  RETURN_IF_ERROR(CheckEpoch(found.view, address.epoch));
  if (!found.target->is_open()) {
    return WithReason(absl::UnavailableError(absl::StrCat("target ", address.target.value(),
                                                          " is absent: ", found.target->problem)),
                      Reason::kAbsentTarget);
  }
  return found;
}

}  // namespace penstock::chunkserver
