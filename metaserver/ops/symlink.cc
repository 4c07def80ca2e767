#include <cerrno>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/new_name.h"

namespace penstock::metaserver {

absl::Status Symlink(Mutation& m, const wire::SymlinkRequest& request,
                     wire::EntryResponse& response) {
  if (request.target().empty()) return PosixError(ENOENT, "empty target");
  if (request.target().size() > kMaxSymlinkBytes)
    return PosixError(ENAMETOOLONG, "target too long");
  ASSIGN_OR_RETURN(const Inode parent,
                   LockNewName(m, InodeNumber(request.parent()), request.name()));
  ASSIGN_OR_RETURN(Inode inode, m.NewInode(parent, S_IFLNK | 0777));
  inode.nlink = 1;
  inode.data = request.target();
  inode.size = inode.data.size();
  AddName(m, parent, request.name(), inode);
  m.view().FillEntry(inode, *response.mutable_entry());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
