#include <cerrno>

#include "common/status.h"
#include "metaserver/ops/mutations.h"

namespace penstock::metaserver {

absl::Status Link(Mutation& m, const wire::LinkRequest& request, wire::EntryResponse& response) {
  const InodeNumber ino(request.ino());
  const InodeNumber parent(request.new_parent());
  const std::string& name = request.new_name();
  if (name == "." || name == "..") return PosixError(EEXIST, "'.' and '..' always exist");
  RETURN_IF_ERROR(CheckName(name));
  if (ino.dataset() != parent.dataset()) return PosixError(EXDEV, "link across datasets");
  m.locks().LockNames({{parent, name}});
  m.locks().LockInodes({{parent, false}, {ino, true}});
  RETURN_IF_ERROR(m.view().GetDirectory(parent).status());
  auto dentry = m.view().GetDentry(parent, name);
  if (dentry.ok()) return PosixError(EEXIST, "the name exists");
  if (ErrnoOf(dentry.status()) != ENOENT) return dentry.status();
  ASSIGN_OR_RETURN(Inode inode, m.view().GetInode(ino));
  if (inode.is_directory()) return PosixError(EPERM, "no hard links to directories");
  if (inode.nlink == 0) return PosixError(ENOENT, "the file was removed");
  if (inode.nlink >= m.context().max_links) return PosixError(EMLINK, "too many links");
  ++inode.nlink;
  inode.parent_local = 0;  // known only while there is one link
  inode.ctime = m.now();
  m.PutInode(inode);
  m.PutDentry(parent, name, inode);
  m.ChangeDirectory(parent, +1, 0);
  m.view().FillEntry(inode, *response.mutable_entry());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
