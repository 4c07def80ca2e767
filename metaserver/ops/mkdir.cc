#include <cerrno>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/new_name.h"

namespace penstock::metaserver {

absl::Status Mkdir(Mutation& m, const wire::MkdirRequest& request, wire::EntryResponse& response) {
  ASSIGN_OR_RETURN(const Inode parent,
                   LockNewName(m, InodeNumber(request.parent()), request.name()));
  if (parent.nlink >= m.context().max_links) return PosixError(EMLINK, "too many directories");
  ASSIGN_OR_RETURN(Inode inode,
                   NewInodeBelow(m, parent, {S_IFDIR | (request.mode() & 07777), request.umask()}));
  inode.nlink = 2;
  AddName(m, parent, request.name(), inode);
  m.view().FillEntry(inode, *response.mutable_entry());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
