// Taking a mount away, and waiting until its client has written everything back and ended.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

namespace penstock::cli {

struct UnmountOptions {
  bool lazy = false;            // detach now, even while in use
  absl::Duration busy_timeout;  // try again so long while it is in use
  absl::Duration flush_timeout = absl::Minutes(5);
};

// FAILED_PRECONDITION (EBUSY) names who uses it; NOT_FOUND: nothing of ours is mounted there.
absl::Status Unmount(const std::string& mountpoint, const UnmountOptions& options);

// Processes with a file, working directory or mapping below a mountpoint, "name (pid)"; a few of
// them.
std::vector<std::string> UsersOf(const std::string& mountpoint);

}  // namespace penstock::cli
