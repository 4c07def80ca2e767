// Starting what a cluster's directory describes, and waiting until it serves.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <string>
#include <vector>

#include "cli/cluster_file.h"
#include "cli/servers.h"
#include "proto/admin.pb.h"

namespace penstock::cli {

struct StartedServer {
  ServerSpec spec;
  ProcessId process;
  absl::Time since;  // when it was started, or the infinite past
  bool new_one = false;
};

// Starts the servers that are not running. Nothing is started when a port is taken.
absl::StatusOr<std::vector<StartedServer>> StartServers(const ClusterDirectory& dir,
                                                        const ClusterFile& file);

struct WaitOptions {
  absl::Duration timeout = absl::Seconds(60);
  std::function<bool()> stop_requested;  // may be empty
};
// Waits until every chunkserver has registered and the groups are formed. When a server dies, the
// error shows the end of its log. Returns the cluster's state then; a target may still be away.
absl::StatusOr<wire::StatusResponse> WaitUntilReady(const ClusterDirectory& dir,
                                                    const ClusterFile& file,
                                                    const std::vector<StartedServer>& servers,
                                                    const WaitOptions& options);

// The error when one of the servers has died, with the last lines of its log.
absl::Status CheckAlive(const std::vector<StartedServer>& servers);

}  // namespace penstock::cli
