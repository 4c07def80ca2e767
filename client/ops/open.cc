// open and release of files.
//
// Opening for reading usually asks nobody: the lookup of the same system call has the record.
// Opening for writing tells the metaserver, so that others leave inline content alone.
#include <absl/cleanup/cleanup.h>
#include <spdlog/spdlog.h>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<std::unique_ptr<FileHandle>> FileSystem::Open(InodeNumber ino, OpenFlags flags,
                                                             const OpContext& op) {
  if (options_.read_only && (flags.write || flags.truncate)) {
    return PosixError(EROFS, "mounted read-only");
  }
  const bool write = flags.write || flags.truncate;
  holds_->Hold(ino, write);
  std::shared_ptr<Inode> inode = inodes_.GetOrMake(ino);
  inode->Pin();
  absl::Cleanup let_go = [&, pinned = inode] {
    pinned->Unpin();
    holds_->Release(ino, write);
  };
  std::optional<wire::Entry> fresh = lookups_.Take(op.thread, ino);
  if (fresh) {
    absl::MutexLock lock(&inode->mu);
    if (!inode->Absorb(*fresh)) fresh = std::nullopt;  // changed here since the lookup
  }
  wire::Entry entry;
  if (write) {
    auto open = [&]() -> absl::StatusOr<wire::Entry> {
      wire::OpenRequest request;
      request.set_ino(ino.value());
      request.set_write(true);
      request.set_truncate(flags.truncate);
      ASSIGN_OR_RETURN(wire::EntryResponse response,
                       meta_->Mutate<wire::EntryResponse>(wire::METHOD_OPEN, request, op));
      return response.entry();
    };
    if (flags.truncate) {
      RETURN_IF_ERROR(writer_->Empty(inode, open, op).status());
      absl::MutexLock lock(&inode->mu);
      entry = inode->entry;
    } else {
      ASSIGN_OR_RETURN(entry, open());
    }
  } else if (fresh) {
    entry = std::move(*fresh);
  } else {
    ASSIGN_OR_RETURN(entry, FetchEntry(ino, op));
  }
  {
    // A publish of this mount may have overtaken the answer, and then have forgotten the content.
    absl::MutexLock lock(&inode->mu);
    if (!inode->Absorb(entry) && inode->known) entry = inode->entry;
  }
  if (bool known =
          [&] {
            absl::MutexLock lock(&inode->mu);
            return inode->known;
          }();
      !known) {
    ASSIGN_OR_RETURN(entry, FetchEntry(ino, op));
  }
  std::move(let_go).Cancel();
  return MakeHandle(std::move(inode), entry, write);
}

void FileSystem::Release(std::unique_ptr<FileHandle> handle) {
  std::shared_ptr<Inode> inode = handle->inode;
  const bool write = handle->write;
  bool dirty = false;
  {
    absl::MutexLock lock(&inode->mu);
    dirty = write && inode->dirty();
  }
  if (dirty) {
    // Pages of a shared mapping may come after the last close(2); nobody is left to be told.
    absl::Status status = writer_->Flush(inode, FlushMode::kPublish, OpContext{});
    if (!status.ok()) {
      SPDLOG_ERROR("file not flushed at its last close ino={} error={}", inode->ino.value(),
                   status.ToString());
    }
  }
  ReleaseHandle(*handle);
  handle.reset();
  inode->Unpin();
  holds_->Release(inode->ino, write);
}

}  // namespace penstock::client
