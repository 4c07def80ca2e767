// The servers of a cluster of `penstock up`: how each is started, found and named.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/cluster_file.h"
#include "cli/process.h"

namespace penstock::cli {

inline constexpr char kMetaserverName[] = "metaserver";

struct ServerSpec {
  std::string name;             // "metaserver", "cs1"
  std::vector<uint16_t> ports;  // it listens on
  DaemonSpec daemon;
};

// The metaserver first, then the chunkservers.
std::vector<ServerSpec> ServersOf(const ClusterDirectory& dir, const ClusterFile& file);

// OK when somebody could listen there now; the error names the port.
absl::Status CheckPortFree(const std::string& host, uint16_t port);
// A connection there is accepted.
bool SomebodyListens(const std::string& host, uint16_t port);

// Keeps two `up` or `down` of one directory apart. Released when destroyed.
class DirectoryLock {
 public:
  static absl::StatusOr<DirectoryLock> Take(const ClusterDirectory& dir);
  DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&&) = delete;
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace penstock::cli
