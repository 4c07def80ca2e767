// cluster.json: what `penstock up` made in a directory (docs/formats/cluster_json.md), and where
// everything lies under that directory.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cli/address.h"

namespace penstock::cli {

inline constexpr int kClusterFileFormat = 1;

struct ChunkServerEntry {
  std::string name;  // "cs1": its directory, log and pid file are named so
  uint16_t port = 0;
  std::vector<std::string> targets;  // relative to the cluster's directory, or absolute
  friend bool operator==(const ChunkServerEntry&, const ChunkServerEntry&) = default;
};

struct ClusterFile {
  std::string cluster_id;
  std::string created;  // RFC 3339, UTC
  uint32_t replication = 2;
  uint32_t targets_per_server = 1;
  uint16_t base_port = kDefaultPort;
  HostPort metaserver{"127.0.0.1", kDefaultPort};  // Penstock RPC
  uint16_t grpc_port = kDefaultPort + 1;
  std::vector<ChunkServerEntry> chunkservers;
  std::vector<std::string> mounts;  // mountpoints that `penstock up` keeps mounted
  std::string transport = "auto";   // of servers and mounts: auto, rdma or tcp
  friend bool operator==(const ClusterFile&, const ClusterFile&) = default;
};

std::string ClusterFileText(const ClusterFile& file);
// INVALID_ARGUMENT names what is wrong; FAILED_PRECONDITION: a format this program does not know.
absl::StatusOr<ClusterFile> ParseClusterFile(absl::string_view text);

// The paths below a cluster's directory.
struct ClusterDirectory {
  std::string root;  // absolute
  std::string File() const { return root + "/cluster.json"; }
  std::string KeysDirectory() const { return root + "/keys"; }
  std::string Key(absl::string_view name) const;        // keys/NAME
  std::string Log(absl::string_view program) const;     // logs/PROGRAM.log
  std::string Pid(absl::string_view program) const;     // run/PROGRAM.pid
  std::string Below(absl::string_view relative) const;  // an absolute path as it is

  bool HasCluster() const;
  // NOT_FOUND when there is none.
  absl::StatusOr<ClusterFile> Read() const;
  absl::Status Write(const ClusterFile& file) const;  // atomic and synced
};

}  // namespace penstock::cli
