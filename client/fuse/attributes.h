// Penstock's records as the kernel wants them.
#pragma once

#include <absl/status/status.h>

#include "client/fuse/libfuse.h"
#include "client/fuse/mount_context.h"
#include "proto/meta.pb.h"

namespace penstock::client {

struct stat ToStat(const wire::Attr& attr);
// With the times for which the kernel may keep them (KernelMemory).
fuse_entry_param ToEntryParam(const MountContext& mount, const wire::Entry& entry,
                              bool name_cached);
// What the application gets. Servers that cannot be reached are EIO.
int ToErrno(const absl::Status& status);

}  // namespace penstock::client
