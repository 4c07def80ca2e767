#include <cerrno>

#include "common/status.h"
#include "metaserver/ops/read_operations.h"

namespace penstock::metaserver {

absl::Status Lookup(const ReadView& view, const wire::LookupRequest& request,
                    wire::EntryResponse& response) {
  const std::string& name = request.name();
  if (name.size() > kMaxNameBytes) return PosixError(ENAMETOOLONG, "name longer than 255 bytes");
  if (name.empty()) return PosixError(ENOENT, "empty name");
  ASSIGN_OR_RETURN(Inode parent, view.GetInode(InodeNumber(request.parent())));
  if (name == ".") {
    // open_by_handle_at: whatever the number names, if any name still leads there.
    if (parent.nlink == 0) return PosixError(ESTALE, "the inode was removed");
    view.FillEntry(parent, *response.mutable_entry());
    return absl::OkStatus();
  }
  if (!parent.is_directory()) return PosixError(ENOTDIR, "lookup: the parent is no directory");
  // A removed directory still knows itself and its parent.
  InodeNumber found = parent.ino;
  if (name == "..") {
    found = parent.parent();
  } else {
    auto dentry = view.GetDentry(parent.ino, name);
    if (request.absent_is_ok() && ErrnoOf(dentry.status()) == ENOENT) return absl::OkStatus();
    RETURN_IF_ERROR(dentry.status());
    found = InodeNumber(parent.ino.dataset(), dentry->local);
  }
  ASSIGN_OR_RETURN(const Inode inode, view.GetInode(found));
  view.FillEntry(inode, *response.mutable_entry());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
