#include "client/file_system.h"

#include "common/status.h"

namespace penstock::client {

namespace {
constexpr int kEventThreads = 8;  // of each kind of work
constexpr size_t kEventQueue = 1'000'000;
}  // namespace

FileSystem::FileSystem(MetaApi* meta, ChunkApi* chunks, HoldTable* holds, FileWriter* writer,
                       EntryCache* cache, Clock* clock, ClientOptions options)
    : meta_(meta),
      chunks_(chunks),
      holds_(holds),
      writer_(writer),
      cache_(cache),
      page_work_({.name = "event-pages", .threads = kEventThreads, .queue_limit = kEventQueue}),
      flush_work_({.name = "event-flush", .threads = kEventThreads, .queue_limit = kEventQueue}),
      ack_work_({.name = "event-acks", .threads = kEventThreads, .queue_limit = kEventQueue}),
      options_(std::move(options)),
      reader_(meta, chunks),
      read_times_(
          {.get = [this](InodeNumber ino, const OpContext& op) { return FetchEntry(ino, op); },
           .set = [this](const wire::SetattrRequest& read,
                         const OpContext& op) { return SetReadTime(read, op); }},
          options_.atime),
      inodes_(options_.cached_inodes),
      lookups_(options_.fresh_lookup, clock),
      lost_names_(clock),
      prefetch_([this](InodeNumber ino) { return OpenDirectory(ino); }),
      clock_(clock),
      last_handle_(options_.first_number),
      locks_(clock),
      lock_waits_(meta, &locks_, {.first_ticket = options_.first_number}) {}

absl::StatusOr<wire::Entry> FileSystem::FetchEntry(InodeNumber ino, const OpContext& op) {
  const uint64_t token = cache_->token();
  wire::GetattrRequest request;
  request.set_ino(ino.value());
  ASSIGN_OR_RETURN(wire::EntryResponse response,
                   meta_->Query<wire::EntryResponse>(wire::METHOD_GETATTR, request, op));
  if (!cache_->StoreRecord(token, response.entry())) response.mutable_entry()->set_leased_by(0);
  return std::move(*response.mutable_entry());
}

absl::StatusOr<wire::Entry> FileSystem::GetEntry(InodeNumber ino, const OpContext& op) {
  if (std::optional<wire::Entry> cached = cache_->Record(ino)) return *std::move(cached);
  return FetchEntry(ino, op);
}

absl::Status FileSystem::RefreshStale(Inode& inode, const OpContext& op) {
  Inode::Question question;
  {
    absl::MutexLock lock(&inode.mu);
    if (!inode.stale) return absl::OkStatus();
    question = inode.Ask();
  }
  ASSIGN_OR_RETURN(wire::Entry entry, FetchEntry(inode.ino, op));
  absl::MutexLock lock(&inode.mu);
  inode.Absorb(entry);
  inode.IsFresh(question);
  return absl::OkStatus();
}

absl::Status FileSystem::RefreshForWriting(Inode& inode, const OpContext& op) {
  bool must_reopen = false;
  {
    absl::MutexLock lock(&inode.mu);
    must_reopen = inode.must_reopen();
  }
  if (!must_reopen) return RefreshStale(inode, op);
  ASSIGN_OR_RETURN(wire::Entry entry, CallOpen(inode, {.write = true}, op));
  absl::MutexLock lock(&inode.mu);
  inode.Absorb(entry);
  return absl::OkStatus();
}

wire::Entry FileSystem::Merge(const wire::Entry& record) const {
  const uint64_t leased_by = record.leased_by();
  wire::Entry merged = inodes_.Absorb(record);
  std::shared_ptr<Inode> inode = inodes_.Find(InodeNumber(record.attr().ino()));
  bool only_here = false;
  if (inode != nullptr) {
    absl::MutexLock lock(&inode->mu);
    only_here = inode->dirty();
  }
  merged.set_leased_by(only_here ? 0 : leased_by);
  return merged;
}

absl::StatusOr<wire::Entry> FileSystem::SetReadTime(const wire::SetattrRequest& read,
                                                    const OpContext& op) {
  wire::SetattrRequest request = read;
  CacheChange change(cache_, {}, {InodeNumber(read.ino())});
  change.Declare(request);
  ASSIGN_OR_RETURN(wire::SetattrResponse response,
                   meta_->Mutate<wire::SetattrResponse>(wire::METHOD_SETATTR, request, op));
  change.IsNow(response.entry());
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
    handle->keep_cache =
        !inode->stale && inode->cached_version != 0 && inode->cached_version == version;
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
  return std::make_unique<DirectoryReader>(meta_, &inodes_, cache_, ino);
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

}  // namespace penstock::client
