#include "metaserver/ops/new_name.h"

#include <cerrno>

#include "common/status.h"

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

void AddName(Mutation& m, const Inode& parent, std::string_view name, Inode& inode) {
  m.PutInode(inode);
  m.PutDentry(parent.ino, name, inode);
  m.ChangeDirectory(parent.ino, +1, inode.is_directory() ? +1 : 0);
}

}  // namespace penstock::metaserver
