#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/open_file.h"

namespace penstock::metaserver {

absl::Status Open(Mutation& m, const wire::OpenRequest& request, wire::EntryResponse& response) {
  const InodeNumber ino(request.ino());
  m.locks().LockInodes({{ino, true}});
  ASSIGN_OR_RETURN(Inode inode, m.view().GetInode(ino));
  RETURN_IF_ERROR(OpenInode(m, inode, {request.write(), request.truncate()}));
  FillOpened(m, inode, request.write(), *response.mutable_entry());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
