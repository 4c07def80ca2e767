#include "client/file_system.h"

#include "common/status.h"

namespace penstock::client {

FileSystem::FileSystem(MetaApi* meta, ChunkApi* chunks, HoldTable* holds, FileWriter* writer,
                       Clock* clock, ClientOptions options)
    : meta_(meta),
      chunks_(chunks),
      holds_(holds),
      writer_(writer),
      options_(std::move(options)),
      reader_(meta, chunks),
      inodes_(options_.cached_inodes),
      lookups_(options_.fresh_lookup, clock),
      clock_(clock),
      locks_(clock),
      lock_waits_(meta, &locks_) {}

absl::StatusOr<wire::Entry> FileSystem::FetchEntry(InodeNumber ino, const OpContext& op) {
  wire::GetattrRequest request;
  request.set_ino(ino.value());
  ASSIGN_OR_RETURN(wire::EntryResponse response,
                   meta_->Query<wire::EntryResponse>(wire::METHOD_GETATTR, request, op));
  return std::move(*response.mutable_entry());
}

std::unique_ptr<FileHandle> FileSystem::MakeHandle(std::shared_ptr<Inode> inode,
                                                   const wire::Entry& entry, bool write) {
  auto handle = std::make_unique<FileHandle>();
  handle->number = ++last_handle_;
  handle->write = write;
  {
    absl::MutexLock lock(&inode->mu);
    inode->Absorb(entry);
    const uint64_t version = inode->entry.attr().data_version();
    handle->keep_cache = inode->cached_version != 0 && inode->cached_version == version;
    inode->cached_version = version;
    handle->seen_error = inode->error_number;
  }
  handle->inode = std::move(inode);
  return handle;
}

absl::Status FileSystem::PeekError(const FileHandle& handle) const {
  absl::MutexLock lock(&handle.inode->mu);
  if (handle.inode->error_number == handle.seen_error) return absl::OkStatus();
  return handle.inode->error;
}

absl::Status FileSystem::TakeError(FileHandle& handle) const {
  absl::Status status = PeekError(handle);
  absl::MutexLock lock(&handle.inode->mu);
  if (!status.ok()) handle.seen_error = handle.inode->error_number;
  return status;
}

bool FileSystem::HasUnsynced(InodeNumber ino) const {
  std::shared_ptr<Inode> inode = inodes_.Find(ino);
  if (inode == nullptr) return false;
  absl::MutexLock lock(&inode->mu);
  return inode->dirty() || !inode->unsynced.empty();
}

std::unique_ptr<DirectoryReader> FileSystem::OpenDirectory(InodeNumber ino) {
  return std::make_unique<DirectoryReader>(meta_, &inodes_, ino);
}

void FileSystem::OnSessionLost(SessionId lost) {
  writer_->LoseSession(lost);
  locks_.Forget();
  lock_waits_.OnSessionLost();
}

void FileSystem::OnServerRestart() {
  lock_waits_.OnServerRestart();
  inodes_.ForEach([](Inode& inode) {
    absl::MutexLock lock(&inode.mu);
    inode.accept_any = true;
  });
}

}  // namespace penstock::client
