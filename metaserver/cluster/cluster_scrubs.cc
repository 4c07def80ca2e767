// What ClusterState passes on of scrubs.
#include "metaserver/cluster/cluster_state.h"

namespace penstock::metaserver {

absl::StatusOr<wire::StartScrubResponse> ClusterState::StartScrub(
    const wire::StartScrubRequest& request) {
  const auto now_us = static_cast<uint64_t>(absl::ToUnixMicros(sources_.clock->Now()));
  absl::MutexLock lock(&mu_);
  return scrubs_.Start(request, inventory_, now_us);
}

absl::StatusOr<wire::ListScrubsResponse> ClusterState::ListScrubs(
    const wire::ListScrubsRequest& request) const {
  absl::MutexLock lock(&mu_);
  return scrubs_.List(request, inventory_);
}

}  // namespace penstock::metaserver
