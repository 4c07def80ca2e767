// `penstock up --foreground`: stays beside the servers until somebody stops the cluster.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <vector>

#include "cli/start_cluster.h"

namespace penstock::cli {

// Ctrl-C, SIGTERM or SIGHUP came within `wait`. They must be blocked (BlockStopSignals).
bool StopRequested(absl::Duration wait);

// Stays until a signal comes, which stops the cluster, or every server has ended; tells of those
// that die. Others may add and remove servers meanwhile.
absl::Status StayAndStop(const ClusterDirectory& dir, std::vector<StartedServer> servers);

}  // namespace penstock::cli
