// open and release of files.
//
// Opening for reading asks nobody while a lease covers the record: a change of the file will be
// heard of. Without one, and for writing, the metaserver is told, so that it knows who has what
// open: a file that several sessions use is shared (FileWriter).
#include <absl/cleanup/cleanup.h>
#include <spdlog/spdlog.h>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<wire::Entry> FileSystem::CallOpen(Inode& inode, OpenFlags flags,
                                                 const OpContext& op) {
  Inode::Question question;
  {
    absl::MutexLock lock(&inode.mu);
    question = inode.Ask();
  }
  wire::OpenRequest request;
  request.set_ino(inode.ino.value());
  request.set_write(flags.write || flags.truncate);
  request.set_truncate(flags.truncate);
  request.mutable_context()->set_hold_version(holds_->version());
  wire::EntryResponse response;
  if (request.write()) {
    CacheChange change(cache_, {}, {inode.ino});
    change.Declare(request);
    ASSIGN_OR_RETURN(response, meta_->Mutate<wire::EntryResponse>(wire::METHOD_OPEN, request, op));
    change.IsNow(response.entry());
  } else {
    ASSIGN_OR_RETURN(response, meta_->Query<wire::EntryResponse>(wire::METHOD_OPEN, request, op));
  }
  absl::MutexLock lock(&inode.mu);
  inode.IsShared(question, response.entry().shared());
  inode.IsFresh(question);
  if (request.write()) inode.IsOpenForWriting(question);
  return response.entry();
}

absl::StatusOr<wire::Entry> FileSystem::OpenRecord(const std::shared_ptr<Inode>& inode,
                                                   OpenFlags flags, const OpContext& op) {
  if (flags.truncate) {
    auto call = [&](const OpContext& mine) -> absl::Status {
      return writer_
          ->Empty(
              inode, [&] { return CallOpen(*inode, flags, mine); }, mine)
          .status();
    };
    RETURN_IF_ERROR(writer_->InTurn(inode, op, call));
    absl::MutexLock lock(&inode->mu);
    return inode->entry;
  }
  if (flags.write) return CallOpen(*inode, flags, op);
  // After the hold: what is dropped from the cache from now on is answered with "open here".
  if (std::optional<wire::Entry> cached = cache_->Record(inode->ino)) {
    absl::MutexLock lock(&inode->mu);
    if (!inode->shared && !inode->stale) return *std::move(cached);
  }
  return CallOpen(*inode, flags, op);
}

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
  ASSIGN_OR_RETURN(wire::Entry entry, OpenRecord(inode, flags, op));
  bool known = false;
  {
    // A publish of this mount may have overtaken the answer, and then have forgotten the content.
    absl::MutexLock lock(&inode->mu);
    if (!inode->Absorb(entry) && inode->known) entry = inode->entry;
    known = inode->known;
  }
  if (!known) {
    ASSIGN_OR_RETURN(entry, FetchEntry(ino, op));
  }
  std::move(let_go).Cancel();
  std::unique_ptr<FileHandle> handle = MakeHandle(std::move(inode), entry, write);
  handle->append = flags.append;
  return handle;
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
  ReleaseLocksOf(inode->ino, handle->number);
  handle.reset();
  inode->Unpin();
  holds_->Release(inode->ino, write);
}

}  // namespace penstock::client
