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
      read_times_(
          {.get = [this](InodeNumber ino, const OpContext& op) { return FetchEntry(ino, op); },
           .set = [this](const wire::SetattrRequest& read,
                         const OpContext& op) { return SetReadTime(read, op); }},
          options_.atime),
      inodes_(options_.cached_inodes),
      lookups_(options_.fresh_lookup, clock),
      clock_(clock) {}

absl::StatusOr<wire::Entry> FileSystem::FetchEntry(InodeNumber ino, const OpContext& op) {
  wire::GetattrRequest request;
  request.set_ino(ino.value());
  ASSIGN_OR_RETURN(wire::EntryResponse response,
                   meta_->Query<wire::EntryResponse>(wire::METHOD_GETATTR, request, op));
  return std::move(*response.mutable_entry());
}

absl::StatusOr<wire::Entry> FileSystem::SetReadTime(const wire::SetattrRequest& read,
                                                    const OpContext& op) {
  ASSIGN_OR_RETURN(wire::SetattrResponse response,
                   meta_->Mutate<wire::SetattrResponse>(wire::METHOD_SETATTR, read, op));
  return std::move(*response.mutable_entry());
}

std::unique_ptr<FileHandle> FileSystem::MakeHandle(std::shared_ptr<Inode> inode,
                                                   const wire::Entry& entry, bool write) {
  auto handle = std::make_unique<FileHandle>();
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

void FileSystem::NoteDirectoryRead(const DirectoryReader& reader, const OpContext& op) {
  if (!options_.directory_atime || reader.no_atime()) return;
  std::shared_ptr<Inode> directory = inodes_.GetOrMake(reader.ino());
  if (auto fresh = lookups_.Take(op.thread, reader.ino())) {
    absl::MutexLock lock(&directory->mu);
    directory->AbsorbInPassing(*fresh);
  }
  read_times_.NoteRead(directory);
}

void FileSystem::OnSessionLost(SessionId lost) { writer_->LoseSession(lost); }

void FileSystem::OnServerRestart() {
  inodes_.ForEach([](Inode& inode) {
    absl::MutexLock lock(&inode.mu);
    inode.accept_any = true;
  });
}

}  // namespace penstock::client
