#include "metaserver/ops/new_name.h"

#include <cerrno>

#include "common/status.h"
#include "metaserver/acl/acl_mode.h"
#include "metaserver/ops/acl_records.h"
#include "metaserver/ops/caller.h"

namespace penstock::metaserver {

absl::StatusOr<Inode> LockNewName(Mutation& m, InodeNumber parent, std::string_view name) {
  if (name == "." || name == "..") return PosixError(EEXIST, "'.' and '..' always exist");
  RETURN_IF_ERROR(CheckName(name));
  m.locks().LockNames({{parent, name}});
  m.locks().LockInodes({{parent, false}});
  ASSIGN_OR_RETURN(Inode directory, m.view().GetDirectory(parent));
  auto dentry = m.view().GetDentry(parent, name);
  if (dentry.ok()) return PosixError(EEXIST, "the name exists");
  if (ErrnoOf(dentry.status()) != ENOENT) return dentry.status();
  return directory;
}

absl::StatusOr<Inode> NewInodeBelow(Mutation& m, const Inode& parent, WantedMode wanted) {
  constexpr uint32_t kExecutableForGroup = S_ISGID | S_IXGRP;
  uint32_t mode = wanted.mode;
  if (!S_ISDIR(mode) && (parent.mode & S_ISGID) &&
      (mode & kExecutableForGroup) == kExecutableForGroup &&
      !MaySetGroupId(CallerOf(m.context().credentials), parent.gid)) {
    mode &= ~uint32_t{S_ISGID};
  }
  ASSIGN_OR_RETURN(const Acl list, GetAcl(m.view(), parent, kDefaultAcl));
  if (list.entries.empty()) return m.NewInode(parent, mode & ~(wanted.umask & 0777));
  const InheritedAccess inherited = InheritAccess(list, mode);
  ASSIGN_OR_RETURN(Inode inode, m.NewInode(parent, inherited.mode));
  if (inherited.access) PutAcl(m, inode, kAccessAcl, *inherited.access);
  if (inode.is_directory()) PutAcl(m, inode, kDefaultAcl, list);
  return inode;
}

void AddName(Mutation& m, const Inode& parent, std::string_view name, Inode& inode) {
  m.PutInode(inode);
  m.PutDentry(parent.ino, name, inode);
  m.ChangeDirectory(parent.ino, +1, inode.is_directory() ? +1 : 0);
}

}  // namespace penstock::metaserver
