// Stopping a cluster of `penstock up`: mounts, then chunkservers, then the metaserver, so that
// everything written still finds its way.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "cli/cluster_file.h"
#include "cli/servers.h"

namespace penstock::cli {

struct StopOptions {
  bool force = false;  // detach mounts that are in use
};
// Says what it does. How many mounts and servers it ended.
absl::StatusOr<int> StopCluster(const ClusterDirectory& dir, const ClusterFile& file,
                                const StopOptions& options);

// One of its servers, by SIGTERM; says so unless `quiet`. True when it was running.
absl::StatusOr<bool> StopServer(const ServerSpec& spec, bool quiet = false);

// Mountpoints of this machine that belong to the cluster, also those that `up` did not make; the
// innermost first.
std::vector<std::string> MountsOf(const ClusterFile& file);

}  // namespace penstock::cli
