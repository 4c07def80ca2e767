#include "metaserver/ops/set_acl.h"

#include <cerrno>

#include "common/status.h"
#include "metaserver/acl/acl_mode.h"
#include "metaserver/ops/acl_records.h"
#include "metaserver/ops/caller.h"

namespace penstock::metaserver {
namespace {

// As removing: that there was none is well.
absl::Status DropIfAny(Mutation& m, Inode& inode, std::string_view name) {
  const absl::Status dropped = DropAcl(m, inode, name);
  return ErrnoOf(dropped) == ENODATA ? absl::OkStatus() : dropped;
}

absl::Status SetAccess(Mutation& m, Inode& inode, const Acl& acl) {
  inode.mode = (inode.mode & ~uint32_t{0777}) | ModeBitsOf(acl);
  if (!MaySetGroupId(CallerOf(m.context().credentials), inode.gid)) {
    inode.mode &= ~uint32_t{S_ISGID};
  }
  if (IsMinimal(acl)) return DropIfAny(m, inode, kAccessAcl);
  PutAcl(m, inode, kAccessAcl, acl);
  return absl::OkStatus();
}

}  // namespace

absl::Status SetAcl(Mutation& m, Inode& inode, std::string_view name, std::string_view value) {
  if (inode.is_symlink()) return PosixError(EOPNOTSUPP, "a symbolic link has no access list");
  ASSIGN_OR_RETURN(const Acl acl, ParseAcl(value));
  if (acl.entries.empty()) {
    RETURN_IF_ERROR(DropIfAny(m, inode, name));
  } else if (name == kAccessAcl) {
    RETURN_IF_ERROR(SetAccess(m, inode, acl));
  } else {
    if (!inode.is_directory()) return PosixError(EACCES, "default lists are for directories");
    PutAcl(m, inode, name, acl);
  }
  inode.ctime = m.now();
  m.PutInode(inode);
  return absl::OkStatus();
}

absl::Status RemoveAcl(Mutation& m, Inode& inode, std::string_view name) {
  RETURN_IF_ERROR(DropAcl(m, inode, name));
  inode.ctime = m.now();
  m.PutInode(inode);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
