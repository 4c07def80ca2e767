#include <cerrno>

#include "common/status.h"
#include "metaserver/ops/mutations.h"

namespace penstock::metaserver {

absl::Status Rmdir(Mutation& m, const wire::RmdirRequest& request, wire::RmdirResponse&) {
  m.NeedsNoRoom();
  const InodeNumber parent(request.parent());
  const std::string& name = request.name();
  if (name == ".") return PosixError(EINVAL, "rmdir of '.'");
  if (name == "..") return PosixError(ENOTEMPTY, "rmdir of '..'");
  RETURN_IF_ERROR(CheckName(name));
  m.locks().LockNames({{parent, name}});
  RETURN_IF_ERROR(m.view().GetDirectory(parent).status());
  ASSIGN_OR_RETURN(const Dentry dentry, m.view().GetDentry(parent, name));
  if (!S_ISDIR(dentry.type)) return PosixError(ENOTDIR, "rmdir: not a directory");
  const InodeNumber ino(parent.dataset(), dentry.local);
  // Exclusive: whoever puts a name into it holds its lock shared.
  m.locks().LockInodes({{parent, false}, {ino, true}});
  ASSIGN_OR_RETURN(Inode inode, m.view().GetInode(ino));
  ASSIGN_OR_RETURN(const bool empty, m.view().IsEmpty(ino));
  if (!empty) return PosixError(ENOTEMPTY, "the directory has entries");
  m.DeleteDentry(parent, name);
  m.ChangeDirectory(parent, -1, -1);
  m.DropLink(inode, SessionId());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
