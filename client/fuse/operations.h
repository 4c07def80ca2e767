// The table of FUSE operations: decode, call FileSystem, answer. Grouped by file:
// ops_names.cc, ops_attributes.cc, ops_files.cc, ops_directories.cc, ops_locks.cc.
#pragma once

#include "client/fuse/libfuse.h"

namespace penstock::client {

constexpr size_t kNameLimit = 255;  // NAME_MAX, in bytes

void AddNameOperations(fuse_lowlevel_ops* ops);
void AddAttributeOperations(fuse_lowlevel_ops* ops);
void AddFileOperations(fuse_lowlevel_ops* ops);
void AddDirectoryOperations(fuse_lowlevel_ops* ops);
void AddLockOperations(fuse_lowlevel_ops* ops);

}  // namespace penstock::client
