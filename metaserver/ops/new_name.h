// What create, mkdir, mknod and symlink share: a new inode under a new name.
#pragma once

#include "metaserver/mutation.h"

namespace penstock::metaserver {

// Locks the name and (shared) its parent, and checks that the name is free.
absl::StatusOr<Inode> LockNewName(Mutation& m, InodeNumber parent, std::string_view name);
// Puts `inode` under the name. Its own links are set.
void AddName(Mutation& m, const Inode& parent, std::string_view name, Inode& inode);

}  // namespace penstock::metaserver
