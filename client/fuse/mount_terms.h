// What libfuse is told of a mount, the same in the supervisor, which mounts, and in the client,
// which serves.
#pragma once

#include <absl/status/statusor.h>

#include "client/fuse/libfuse.h"
#include "client/fuse/mount.h"

namespace penstock::client {

// A libfuse session with the options of the mount; `userdata` goes to every operation.
absl::StatusOr<fuse_session*> NewFuseSession(const MountOptions& options,
                                             const fuse_lowlevel_ops& operations, void* userdata);

}  // namespace penstock::client
