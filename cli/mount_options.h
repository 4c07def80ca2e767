// The -o options of a mount: Penstock's own, those of mount(8) that every file system takes, and
// those that only fstab's readers understand.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "client/client_options.h"
#include "common/net/transport_choice.h"
#include "common/units.h"

namespace penstock::cli {

struct MountSettings {
  std::string key_file;                           // key=FILE
  absl::Duration io_timeout = absl::Seconds(60);  // I/O waits so long for a lost server, then EIO
  uint64_t memory_bytes = kGiB;                   // of the client
  int max_connections = 8;                        // to each server
  net::TransportOptions transport;                // transport, rdma_timeout, rdma_retry
  int read_ahead_kib = 8192;                      // of the kernel
  absl::Duration hedge_after = absl::Milliseconds(10);  // infinite: never
  bool sync_on_close = false;
  bool read_only = false;
  bool allow_other = false;  // root's default is true
  bool default_permissions = true;
  client::AtimeRule atime = client::AtimeRule::kRelatime;  // noatime, relatime, strictatime
  bool directory_atime = true;                             // nodiratime
  std::vector<std::string> kernel_options;                 // noatime, nodev, ... in the order given
  std::string log_file;                                    // of the client; empty: chosen
  std::string log_level = "info";
  std::string pid_file;  // additional, for scripts
  std::string metrics;   // HOST:PORT for Prometheus; empty: none
};

// Applies comma-separated options in order, the last one wins. A usage error names an unknown
// option or a value that makes no sense.
absl::Status ApplyMountOptions(absl::string_view options, MountSettings& settings);
// What root or an ordinary user gets without any option.
MountSettings DefaultMountSettings(bool root);
// For --help.
std::string MountOptionsHelp();

}  // namespace penstock::cli
