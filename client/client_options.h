// What a mounted client can be told. Every field has a unit and a default.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/units.h"

namespace penstock::client {

// Which reads change the time of last access, as mount(8) names the rules.
enum class AtimeRule {
  kRelatime,  // when it is not newer than the last change, or a day old
  kAlways,    // strictatime
  kNever,     // noatime, and mounts that are read-only
};

struct ClientOptions {
  std::string subdir;      // "" or "/a/b": the directory to mount
  std::string mountpoint;  // shown by `penstock client ls`
  absl::Duration io_timeout =
      absl::Seconds(60);  // a call gives EIO after this; longer rides out more
  absl::Duration fresh_lookup = absl::Seconds(1);  // a lookup answers the open after it this long
  uint64_t dirty_limit_bytes = 256 * kMiB;         // written but not yet on the servers, all files
  absl::Duration dirty_age = absl::Seconds(5);     // older bytes are sent without waiting for close
  int max_connections = 8;                         // to each server
  int writer_threads = 8;                          // chunks on their way at once
  size_t cached_inodes = 100'000;                  // closed files remembered for their page cache
  bool sync_on_close = false;                      // every close waits for the disks
  bool read_only = false;
  AtimeRule atime = AtimeRule::kRelatime;  // kNever saves a call for the first read of each file
  bool directory_atime = true;             // false: nodiratime
};

}  // namespace penstock::client
