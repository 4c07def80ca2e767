// setxattr and removexattr of access control lists.
#pragma once

#include "metaserver/mutation.h"

namespace penstock::metaserver {

// `inode`'s lock is held exclusively; its record, ctime included, is put. Who may do it (the owner)
// is the kernel's to check. The access list shows in the mode, and set-group-id goes when the
// asker is not in the file's group. EACCES: a default list for what is no directory; EOPNOTSUPP: a
// symbolic link has none.
absl::Status SetAcl(Mutation& m, Inode& inode, std::string_view name, std::string_view value);
// ENODATA when there is none. The mode stays.
absl::Status RemoveAcl(Mutation& m, Inode& inode, std::string_view name);

}  // namespace penstock::metaserver
