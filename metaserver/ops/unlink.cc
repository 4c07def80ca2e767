#include <cerrno>

#include "common/status.h"
#include "metaserver/ops/mutations.h"

namespace penstock::metaserver {

absl::Status Unlink(Mutation& m, const wire::UnlinkRequest& request,
                    wire::UnlinkResponse& response) {
  m.NeedsNoRoom();
  const InodeNumber parent(request.parent());
  const std::string& name = request.name();
  if (name == "." || name == "..") return PosixError(EISDIR, "'.' and '..' are directories");
  RETURN_IF_ERROR(CheckName(name));
  m.locks().LockNames({{parent, name}});
  RETURN_IF_ERROR(m.view().GetDirectory(parent).status());
  ASSIGN_OR_RETURN(const Dentry dentry, m.view().GetDentry(parent, name));
  const InodeNumber ino(parent.dataset(), dentry.local);
  m.locks().LockInodes({{parent, false}, {ino, true}});
  ASSIGN_OR_RETURN(Inode inode, m.view().GetInode(ino));
  if (inode.is_directory()) return PosixError(EISDIR, "unlink: a directory");
  m.DeleteDentry(parent, name);
  m.ChangeDirectory(parent, -1, 0);
  const bool held_here = request.held_inode() == ino.value();
  m.DropLink(inode, held_here ? m.session() : SessionId());
  m.view().FillEntry(inode, *response.mutable_removed());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
