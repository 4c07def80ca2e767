#include "client/fuse/handle_table.h"

#include <cerrno>

#include "common/status.h"

namespace penstock::client {
namespace {

absl::Status NotOpen() { return PosixError(EBADF, "no such open file"); }

absl::Status Lost() { return PosixError(EIO, "the client died before the bytes were written"); }

}  // namespace

HandleTable::HandleTable(MountJournal* journal, FileSystem* fs, HoldTable* holds)
    : journal_(journal), fs_(fs), holds_(holds) {
  TakeOver();
}

HandleTable::~HandleTable() {
  for (uint32_t index = 0; index < journal_->handles_used().load(); ++index) {
    std::atomic<void*>* object = Object(index);
    void* held = object == nullptr ? nullptr : object->exchange(nullptr);
    if (held == nullptr) continue;
    if ((journal_->handle(index).flags.load() & kHandleDirectory) != 0) {
      delete static_cast<DirectoryReader*>(held);
    } else {
      delete static_cast<FileHandle*>(held);
    }
  }
}

std::atomic<void*>* HandleTable::Object(uint32_t index) const {
  Segment* segment = segments_[index / kSegment].load(std::memory_order_acquire);
  return segment == nullptr ? nullptr : &(*segment)[index % kSegment];
}

absl::StatusOr<uint32_t> HandleTable::TakeIndex() {
  absl::MutexLock lock(&mu_);
  const uint32_t used = journal_->handles_used().load();
  if (free_.empty() && used >= kHandleLimit) {
    return PosixError(ENFILE, "too many files are open in this mount");
  }
  const uint32_t index = free_.empty() ? used : free_.back();
  MakeSegment(index);
  if (free_.empty()) {
    journal_->handles_used().store(index + 1);
  } else {
    free_.pop_back();
  }
  return index;
}

void HandleTable::MakeSegment(uint32_t index) {
  std::atomic<Segment*>& segment = segments_[index / kSegment];
  if (segment.load() == nullptr) segment.store(new Segment{}, std::memory_order_release);
}

void HandleTable::GiveIndex(uint32_t index) {
  absl::MutexLock lock(&mu_);
  free_.push_back(index);
}

uint64_t HandleTable::Publish(uint32_t index, const Opened& opened,
                              const RepeatableRequest& request) {
  HandleRecord& record = journal_->handle(index);
  const uint32_t generation = record.generation.load() + 1;
  record.generation.store(generation);
  record.ino.store(opened.ino.value());
  record.number.store(opened.number);
  record.request.store(request.number);
  record.written.store(0);
  record.published.store(0);
  Object(index)->store(opened.object, std::memory_order_release);
  record.flags.store(opened.flags | kHandleOpen, std::memory_order_release);
  CloseUntold(request);
  return NumberOf(index, generation);
}

absl::StatusOr<uint64_t> HandleTable::AddFile(std::unique_ptr<FileHandle>& handle,
                                              const RepeatableRequest& request) {
  ASSIGN_OR_RETURN(const uint32_t index, TakeIndex());
  uint32_t flags = 0;
  if (handle->write) flags |= kHandleWrite;
  if (handle->append) flags |= kHandleAppend;
  if (handle->no_atime) flags |= kHandleNoAtime;
  const InodeNumber ino = handle->inode->ino;
  const uint64_t number = handle->number;
  return Publish(index, {ino, number, flags, handle.release()}, request);
}

absl::StatusOr<uint64_t> HandleTable::AddDirectory(std::unique_ptr<DirectoryReader> reader,
                                                   const RepeatableRequest& request) {
  ASSIGN_OR_RETURN(const uint32_t index, TakeIndex());
  const InodeNumber ino = reader->ino();
  return Publish(index, {ino, 0, kHandleDirectory, reader.release()}, request);
}

HandleRecord* HandleTable::Find(uint64_t number) const {
  const uint32_t index = IndexOf(number);
  if (index >= kHandleLimit || Object(index) == nullptr) return nullptr;
  HandleRecord& record = journal_->handle(index);
  if (!record.open() || NumberOf(index, record.generation.load()) != number) return nullptr;
  return &record;
}

absl::StatusOr<FileHandle*> HandleTable::File(uint64_t number, const OpContext& op) {
  HandleRecord* record = Find(number);
  if (record == nullptr || (record->flags.load() & kHandleDirectory) != 0) return NotOpen();
  const uint32_t index = IndexOf(number);
  if (void* file = Object(index)->load(std::memory_order_acquire)) {
    return static_cast<FileHandle*>(file);
  }
  return OpenAgain(index, *record, op);
}

absl::StatusOr<DirectoryReader*> HandleTable::Directory(uint64_t number) {
  HandleRecord* record = Find(number);
  if (record == nullptr || (record->flags.load() & kHandleDirectory) == 0) return NotOpen();
  std::atomic<void*>& object = *Object(IndexOf(number));
  if (void* reader = object.load(std::memory_order_acquire)) {
    return static_cast<DirectoryReader*>(reader);
  }
  std::unique_ptr<DirectoryReader> made = fs_->OpenDirectory(InodeNumber(record->ino.load()));
  void* nothing = nullptr;
  if (object.compare_exchange_strong(nothing, made.get())) return made.release();
  return static_cast<DirectoryReader*>(nothing);  // another thread was first
}

void HandleTable::NoteWrite(uint64_t number) {
  if (HandleRecord* record = Find(number)) record->written.fetch_add(1);
}

void HandleTable::Settle(uint64_t number) {
  HandleRecord* record = Find(number);
  if (record == nullptr || !record->dirty()) return;
  const uint32_t written = record->written.load();  // before the look at the inode
  const void* object = Object(IndexOf(number))->load(std::memory_order_acquire);
  if (object == nullptr) return;
  const auto* file = static_cast<const FileHandle*>(object);
  Inode& inode = *file->inode;
  absl::MutexLock lock(&inode.mu);
  // An error that this handle has not reported yet would die with the client.
  if (!inode.dirty() && inode.error_number == file->seen_error) record->published.store(written);
}

void HandleTable::SettleAll() {
  const uint32_t used = journal_->handles_used().load();
  for (uint32_t i = 0; i < used; ++i) {
    HandleRecord& record = journal_->handle(i);
    if (!record.open() || !record.dirty()) continue;
    // Not while the kernel gives it up: its number is taken back under `mu_`.
    absl::MutexLock lock(&mu_);
    if (record.open()) Settle(NumberOf(i, record.generation.load()));
  }
}

absl::Status HandleTable::PeekLoss(uint64_t number) const {
  const HandleRecord* record = Find(number);
  if (record == nullptr || (record->flags.load() & kHandleLost) == 0) return absl::OkStatus();
  return Lost();
}

absl::Status HandleTable::TakeLoss(uint64_t number) {
  HandleRecord* record = Find(number);
  if (record == nullptr || (record->flags.load() & kHandleLost) == 0) return absl::OkStatus();
  const bool taken = (record->flags.fetch_and(~uint32_t{kHandleLost}) & kHandleLost) != 0;
  return taken ? Lost() : absl::OkStatus();
}

void HandleTable::RemoveFile(uint64_t number) {
  HandleRecord* record = Find(number);
  if (record == nullptr) return;  // removed before, by a client that died before it said so
  const uint32_t index = IndexOf(number);
  const InodeNumber ino(record->ino.load());
  const bool write = (record->flags.load() & kHandleWrite) != 0;
  record->flags.fetch_or(kHandleClosing);
  std::unique_ptr<FileHandle> file;
  {
    absl::MutexLock lock(&mu_);
    file.reset(static_cast<FileHandle*>(Object(index)->exchange(nullptr)));
  }
  if (file != nullptr) {
    fs_->Release(std::move(file));
  } else {
    fs_->ReleaseLocksOf(ino, record->number.load());
    holds_->Release(ino, write);
  }
  record->flags.store(0, std::memory_order_release);
  GiveIndex(index);
}

void HandleTable::RemoveDirectory(uint64_t number) {
  HandleRecord* record = Find(number);
  if (record == nullptr) return;
  const uint32_t index = IndexOf(number);
  delete static_cast<DirectoryReader*>(Object(index)->exchange(nullptr));
  record->flags.store(0, std::memory_order_release);
  GiveIndex(index);
}

}  // namespace penstock::client
