// A mount from beginning to end: connects to the metaserver, serves the mountpoint until it is
// unmounted or SIGTERM comes, and leaves with everything flushed.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/client_options.h"
#include "common/units.h"

namespace penstock::client {

struct MountOptions {
  std::string metaserver;                         // "host:port" of its Penstock RPC
  std::string subdir;                             // "" or "/a/b": mount that directory only
  std::string mountpoint;                         // an existing directory
  std::string key_file;                           // the cluster key
  absl::Duration io_timeout = absl::Seconds(60);  // EIO after this long without servers
  bool allow_other = false;
  bool default_permissions = true;
  bool sync_on_close = false;
  bool read_only = false;
  AtimeRule atime = AtimeRule::kRelatime;
  bool directory_atime = true;
  uint64_t memory_bytes = kGiB;  // a quarter of it for written bytes on their way
  int max_connections = 8;       // to each server
  int read_ahead_kib = 8192;     // of the mount's device, as root; 8 requests of 1 MiB in flight
  std::vector<std::string> kernel_options;  // dev, suid, noatime, ... as mount(8) names them
  std::string metrics;                      // HOST:PORT for Prometheus; empty: none
  std::string fsname;                       // in the mount table; empty: penstock:METASERVER
};

// Returns after the unmount. `on_ready` runs once, on another thread, when the mount answers. Must
// be called before the process has other threads that could take SIGTERM, SIGINT and SIGHUP.
absl::Status RunMount(const MountOptions& options, std::function<void()> on_ready);

}  // namespace penstock::client
