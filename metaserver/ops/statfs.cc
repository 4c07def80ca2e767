#include <algorithm>

#include "common/status.h"
#include "metaserver/ops/read_operations.h"

namespace penstock::metaserver {

absl::Status Statfs(const ReadView& view, const wire::StatfsRequest&,
                    wire::StatfsResponse& response) {
  ASSIGN_OR_RETURN(const DatasetCounters counters, view.GetCounters(kRootDataset));
  constexpr uint64_t kAll = (uint64_t{1} << InodeNumber::kLocalBits) - 1;
  const uint64_t used =
      std::min(kAll, static_cast<uint64_t>(std::max<int64_t>(0, counters.inodes)));
  response.set_inodes(kAll);
  response.set_inodes_free(kAll - used);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
