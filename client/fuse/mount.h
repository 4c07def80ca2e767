// The client of one mount: connects to the metaserver, serves what the supervisor mounted until it
// is unmounted or SIGTERM comes, and leaves with everything flushed.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/client_options.h"
#include "common/net/transport_choice.h"
#include "common/units.h"

namespace penstock::client {

struct MountOptions {
  std::string metaserver;                               // "host:port" of its Penstock RPC
  std::string subdir;                                   // "" or "/a/b": mount that directory only
  std::string mountpoint;                               // an existing directory
  std::string key_file;                                 // the cluster key
  absl::Duration io_timeout = absl::Seconds(60);        // EIO after this long without servers
  absl::Duration hedge_after = absl::Milliseconds(10);  // see ReadPaceOptions::least
  bool allow_other = false;
  bool default_permissions = true;
  bool sync_on_close = false;
  bool read_only = false;
  AtimeRule atime = AtimeRule::kRelatime;
  bool directory_atime = true;
  uint64_t memory_bytes = kGiB;     // a quarter of it for written bytes on their way
  int max_connections = 8;          // to each server
  net::TransportOptions transport;  // RDMA or TCP
  int read_ahead_kib = 8192;        // of the mount's device, as root; 8 requests of 1 MiB in flight
  std::vector<std::string> kernel_options;  // dev, suid, noatime, ... as mount(8) names them
  std::string metrics;                      // HOST:PORT for Prometheus; empty: none
  std::string fsname;                       // in the mount table; empty: penstock:METASERVER
};

// What the supervisor hands to the client; all stay open in the supervisor.
struct MountDescriptors {
  int device = -1;
  int journal = -1;
  int first_clone = -1;  // consecutive
  int clones = 0;
};

// SIGUSR1: everything is flushed, and the process ends with this exit code; the session, locks that
// are waited for and requests under way are left to the next client.
inline constexpr int kExitRestart = 75;

// Returns after the unmount. `on_ready` runs once, on another thread, when the mount answers. Must
// be called before the process has other threads that could take SIGTERM, SIGINT, SIGHUP and
// SIGUSR1.
absl::Status RunMount(const MountOptions& options, const MountDescriptors& descriptors,
                      std::function<void()> on_ready);

}  // namespace penstock::client
