// The client of a mount as a process of its own: what the supervisor starts.
#pragma once

#include "cli/mount_options.h"
#include "client/fuse/mount.h"

namespace penstock::cli {

inline constexpr char kMountClientVerb[] = "mount-client";

// What the user chose by -o, for the client and for the supervisor.
void ApplySettings(const MountSettings& settings, client::MountOptions& options);

}  // namespace penstock::cli
