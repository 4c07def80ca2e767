#include <cerrno>

#include "common/status.h"
#include "metaserver/ops/read_operations.h"

namespace penstock::metaserver {

absl::Status Readlink(const ReadView& view, const wire::ReadlinkRequest& request,
                      wire::ReadlinkResponse& response) {
  ASSIGN_OR_RETURN(const Inode inode, view.GetInode(InodeNumber(request.ino())));
  if (!inode.is_symlink()) return PosixError(EINVAL, "readlink: not a symbolic link");
  response.set_target(inode.data);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
