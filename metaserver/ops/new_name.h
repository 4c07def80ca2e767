// What create, mkdir, mknod and symlink share: a new inode under a new name.
#pragma once

#include "metaserver/mutation.h"

namespace penstock::metaserver {

// Locks the name and (shared) its parent, and checks that the name is free.
absl::StatusOr<Inode> LockNewName(Mutation& m, InodeNumber parent, std::string_view name);

// The mode asked for, with the type, and what the caller's umask takes off it.
struct WantedMode {
  uint32_t mode = 0;
  uint32_t umask = 0;
};
// A new inode below `parent` (locked shared, or its name). A default list of the parent's decides
// its mode, and is inherited; without one the umask counts. Set-group-id of what its group may
// execute goes when the parent gives its group and the caller is not in it.
absl::StatusOr<Inode> NewInodeBelow(Mutation& m, const Inode& parent, WantedMode wanted);
// Puts `inode` under the name. Its own links are set.
void AddName(Mutation& m, const Inode& parent, std::string_view name, Inode& inode);

}  // namespace penstock::metaserver
