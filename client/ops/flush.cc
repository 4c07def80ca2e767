// flush (each close of a descriptor) and fsync: where errors of background writes are reported.
// fsync reports one once. A close leaves it for the others: a child process that closes what it
// inherited must not take the error from the parent, which will ask with fsync.
#include <cerrno>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::Status FileSystem::Flush(FileHandle& handle, const OpContext& op) {
  if (!handle.write) return absl::OkStatus();
  bool by_mapping = false;
  {
    absl::MutexLock lock(&handle.inode->mu);
    by_mapping = handle.inode->by_mapping;
    if (!handle.inode->dirty() && handle.inode->error_number == handle.seen_error &&
        !options_.sync_on_close) {
      return absl::OkStatus();
    }
  }
  // A child that only inherited the descriptor does not wait for its parent's bytes.
  if (!by_mapping && !handle.writers.MayHaveWritten(op.thread)) return absl::OkStatus();
  const FlushMode mode = options_.sync_on_close ? FlushMode::kDurable : FlushMode::kPublish;
  absl::Status status = writer_->Flush(handle.inode, mode, op);
  if (ErrnoOf(status) == EINTR) return status;
  absl::Status sticky = PeekError(handle);
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
