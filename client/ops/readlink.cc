// readlink.
#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<std::string> FileSystem::Readlink(InodeNumber ino, const OpContext& op) {
  if (auto found = lookups_.Take(op.thread, ino); found && !found->symlink_target().empty()) {
    return found->symlink_target();
  }
  wire::ReadlinkRequest request;
  request.set_ino(ino.value());
  ASSIGN_OR_RETURN(wire::ReadlinkResponse response,
                   meta_->Query<wire::ReadlinkResponse>(wire::METHOD_READLINK, request, op));
  return response.target();
}

}  // namespace penstock::client
