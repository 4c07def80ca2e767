// Penstock's records as the kernel wants them.
#pragma once

#include <absl/status/status.h>

#include "client/fuse/libfuse.h"
#include "client/fuse/mount_context.h"
#include "proto/meta.pb.h"

namespace penstock::client {

struct stat ToStat(const wire::Attr& attr);
// Files are looked up anew by every open (close-to-open); directories are kept a moment.
fuse_entry_param ToEntryParam(const MountContext& mount, const wire::Entry& entry);
double AttrTimeout(const MountContext& mount, const wire::Entry& entry);
// What the application gets. Servers that cannot be reached are EIO.
int ToErrno(const absl::Status& status);

}  // namespace penstock::client
