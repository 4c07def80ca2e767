// flush (each close) and fsync: where errors of background writes are reported, once a handle.
#include <cerrno>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::Status FileSystem::Flush(FileHandle& handle, const OpContext& op) {
  if (!handle.write) return absl::OkStatus();
  const FlushMode mode = options_.sync_on_close ? FlushMode::kDurable : FlushMode::kPublish;
  absl::Status status = writer_->Flush(handle.inode, mode, op);
  if (ErrnoOf(status) == EINTR) return status;
  absl::Status sticky = TakeError(handle);
  return sticky.ok() ? status : sticky;
}

absl::Status FileSystem::Fsync(FileHandle& handle, const OpContext& op) {
  absl::Status status = writer_->Flush(handle.inode, FlushMode::kDurable, op);
  if (ErrnoOf(status) == EINTR) return status;
  absl::Status sticky = TakeError(handle);
  return sticky.ok() ? status : sticky;
}

absl::Status FileSystem::SyncMetadata(const OpContext& op) {
  return meta_
      ->Query<wire::SyncMetadataResponse>(wire::METHOD_SYNC_METADATA, wire::SyncMetadataRequest(),
                                          op)
      .status();
}

}  // namespace penstock::client
