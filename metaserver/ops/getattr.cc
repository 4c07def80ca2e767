#include "common/status.h"
#include "metaserver/ops/read_operations.h"

namespace penstock::metaserver {

absl::Status Getattr(const ReadView& view, const wire::GetattrRequest& request,
                     wire::EntryResponse& response) {
  ASSIGN_OR_RETURN(const Inode inode, view.GetInode(InodeNumber(request.ino())));
  view.FillEntry(inode, *response.mutable_entry());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
