// The shape of a cluster of `penstock up`: made once, then kept.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>

#include "cli/cluster_file.h"

namespace penstock::cli {

// What the user asked for; unset: the stored value, or the default of a new cluster.
struct RequestedLayout {
  std::optional<int> chunkservers;
  std::optional<int> targets_per_server;
  std::optional<int> replication;
  std::optional<int> base_port;
  std::optional<std::string> host;       // a literal address that servers listen on
  std::optional<std::string> transport;  // may be changed later
};

// A new cluster's file, its id and ports chosen. A usage error when it makes no sense.
absl::StatusOr<ClusterFile> NewClusterFile(const RequestedLayout& requested);
// FAILED_PRECONDITION names what is stored when something else is asked for.
absl::Status CheckSameLayout(const ClusterDirectory& dir, const ClusterFile& stored,
                             const RequestedLayout& requested);

// Refuses a directory that holds something else than a cluster.
absl::Status CheckDirectory(const ClusterDirectory& dir);
// Reads the cluster of `dir`, or makes it: keys and directories, and cluster.json last.
absl::StatusOr<ClusterFile> OpenOrMakeCluster(const ClusterDirectory& dir,
                                              const RequestedLayout& requested);

}  // namespace penstock::cli
