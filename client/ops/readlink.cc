// readlink.
#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<std::string> FileSystem::Readlink(InodeNumber ino, const OpContext& op) {
  std::shared_ptr<Inode> link = inodes_.GetOrMake(ino);
  if (auto found = lookups_.Take(op.thread, ino); found && !found->symlink_target().empty()) {
    {
      absl::MutexLock lock(&link->mu);
      link->AbsorbInPassing(*found);
    }
    read_times_.NoteRead(link);
    return found->symlink_target();
  }
  wire::ReadlinkRequest request;
  request.set_ino(ino.value());
  ASSIGN_OR_RETURN(wire::ReadlinkResponse response,
                   meta_->Query<wire::ReadlinkResponse>(wire::METHOD_READLINK, request, op));
  read_times_.NoteRead(link);
  return response.target();
}

}  // namespace penstock::client
