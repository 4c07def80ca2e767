// Which cluster a verb is about: --cluster DIR_OR_ADDRESS, else PENSTOCK_CLUSTER, else the one that
// `penstock up` started last.
#pragma once

#include <absl/status/statusor.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/address.h"
#include "cli/cluster_file.h"

namespace penstock::cli {

struct ClusterOptions {
  std::string cluster;     // --cluster
  std::string keys;        // --keys
  uint16_t grpc_port = 0;  // --grpc-port; 0: the address's port + 1
};
void AddClusterOptions(CLI::App* verb, ClusterOptions& options);

struct FoundCluster {
  std::string directory;  // empty when it was named by address
  HostPort metaserver;    // Penstock RPC
  uint16_t grpc_port = 0;
  std::string keys_directory;  // ca.crt, admin.crt, admin.key, cluster.key
  std::string named_by;        // for messages: "--cluster", "PENSTOCK_CLUSTER", ...
  HostPort grpc() const { return {metaserver.host, grpc_port}; }
};
absl::StatusOr<FoundCluster> FindCluster(const ClusterOptions& options);

// The clusters that `penstock up` started and that are still there, the last one first.
std::vector<std::string> KnownClusters();
// The first of them; empty when there is none.
std::string LastCluster();
absl::Status RememberCluster(const std::string& directory);
void ForgetCluster(const std::string& directory);

// The key for a mount of `address`: -o key, $PENSTOCK_KEY, that of a known cluster with that
// address, /etc/penstock/cluster.key. NOT_FOUND says what to do.
absl::StatusOr<std::string> FindMountKey(const std::string& from_option, const HostPort& address);

}  // namespace penstock::cli
