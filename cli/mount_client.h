// Starting one mount, its supervisor and client: in the foreground, or as a daemon whose parent
// returns once the mount answers.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

#include "cli/mount_options.h"

namespace penstock::cli {

struct MountCommand {
  std::string source;  // as the user typed it
  std::string mountpoint;
  MountSettings settings;            // of `options`
  std::vector<std::string> options;  // as typed, the -r and -w of mount(8) among them
  bool foreground = false;
  bool verbose = false;
};

// Must be called while the process has one thread, since it forks.
absl::Status MountFileSystem(const MountCommand& command);

// Says what is missing when this user cannot mount here at all.
absl::Status CheckFuse();

// Takes away a mount whose client has died ("Transport endpoint is not connected"); true when there
// was one.
bool ClearDeadMount(const std::string& mountpoint);

}  // namespace penstock::cli
