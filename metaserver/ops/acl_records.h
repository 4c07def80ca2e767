// The access control lists kept with an inode: extended attributes of the names that Linux gives
// them. An access list that the mode says as well is not kept. `Inode::has_acl` says whether there
// is any, so that most inodes cost no read.
#pragma once

#include "metaserver/acl/acl.h"
#include "metaserver/acl/acl_access.h"
#include "metaserver/mutation.h"

namespace penstock::metaserver {

// Empty: the inode has none of that name.
absl::StatusOr<Acl> GetAcl(const ReadView& view, const Inode& inode, std::string_view name);
// The inode's record is the caller's to put.
void PutAcl(Mutation& m, Inode& inode, std::string_view name, const Acl& acl);
// ENODATA: there is none.
absl::Status DropAcl(Mutation& m, Inode& inode, std::string_view name);
// After the mode changed, the access list follows it.
absl::Status ChmodAcl(Mutation& m, Inode& inode);
// EACCES unless the asker has all of `wanted` (kMayRead, kMayWrite).
absl::Status CheckAccess(const Mutation& m, const Inode& inode, uint32_t wanted);

}  // namespace penstock::metaserver
