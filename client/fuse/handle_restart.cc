// What a client takes over from one that died: the handles of the journal.
#include <absl/container/flat_hash_set.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "client/fuse/handle_table.h"
#include "common/status.h"

namespace penstock::client {
namespace {

constexpr uint64_t kChunksToSync = 1 << 20;  // they lie on every target long before

// The dead client knew what was written and not yet synced; this one has to ask for all of it.
void SyncWhatMayBeUnsynced(Inode& inode) {
  absl::MutexLock lock(&inode.mu);
  if (inode.reads_inline()) return;
  const uint64_t chunk_size = inode.layout().chunk_size_bytes();
  if (chunk_size == 0) return;
  const uint64_t chunks = (inode.size() + chunk_size - 1) / chunk_size;
  for (uint64_t i = 0; i < std::min(chunks, kChunksToSync); ++i) {
    inode.unsynced.try_emplace(static_cast<uint32_t>(i));
  }
}

}  // namespace

void HandleTable::TakeOver() {
  absl::MutexLock lock(&mu_);
  const uint32_t used = std::min(journal_->handles_used().load(), kHandleLimit);
  absl::flat_hash_set<uint64_t> lost;
  for (uint32_t i = 0; i < used; ++i) {
    const HandleRecord& record = journal_->handle(i);
    if (record.open() && record.dirty()) lost.insert(record.ino.load());
  }
  for (uint64_t ino : lost) SPDLOG_ERROR("written bytes lost with the client ino={}", ino);
  for (uint32_t i = used; i > 0; --i) {
    HandleRecord& record = journal_->handle(i - 1);
    // A close that the dead client had begun is not told again on older kernels.
    if (!record.open() || (record.flags.load() & kHandleClosing) != 0) {
      record.flags.store(0, std::memory_order_release);
      free_.push_back(i - 1);
      continue;
    }
    TakeOverRecord(i - 1, record, lost.contains(record.ino.load()));
  }
  // All have the flag by now: what is lost is forgotten by none.
  for (uint32_t i = 0; i < used; ++i) {
    HandleRecord& record = journal_->handle(i);
    if (record.open()) record.published.store(record.written.load());
  }
  std::sort(inherited_.begin(), inherited_.end());
  inherited_.erase(std::unique(inherited_.begin(), inherited_.end()), inherited_.end());
}

void HandleTable::TakeOverRecord(uint32_t index, HandleRecord& record, bool lost) {
  MakeSegment(index);
  const uint32_t flags = record.flags.load();
  const InodeNumber ino(record.ino.load());
  inherited_by_request_[record.request.load()] = NumberOf(index, record.generation.load());
  const bool directory = (flags & kHandleDirectory) != 0;
  if (!directory) {
    holds_->Hold(ino, (flags & kHandleWrite) != 0);
    if (lost) record.flags.fetch_or(kHandleLost);
  }
  // Who wrote may have left pages that it had said were dropped already (PageDrops), or that are
  // lost, also to an earlier client.
  inherited_.emplace_back(ino, !directory && (lost || (flags & (kHandleWrite | kHandleLost)) != 0));
}

void HandleTable::CloseUntold(const RepeatableRequest& request) {
  if (!request.again) return;
  const auto untold = inherited_by_request_.find(request.number);
  if (untold == inherited_by_request_.end()) return;
  HandleRecord* record = Find(untold->second);
  if (record == nullptr) return;
  if ((record->flags.load() & kHandleDirectory) != 0) {
    RemoveDirectory(untold->second);
  } else {
    RemoveFile(untold->second);
  }
}

// Whether the caller may open it was decided long ago.
absl::StatusOr<FileHandle*> HandleTable::OpenAgain(uint32_t index, HandleRecord& record,
                                                   const OpContext& op) {
  const InodeNumber ino(record.ino.load());
  const bool write = (record.flags.load() & kHandleWrite) != 0;
  OpContext root;
  root.interrupt = op.interrupt;
  OpenFlags flags;
  flags.read = true;
  flags.write = write;
  flags.append = (record.flags.load() & kHandleAppend) != 0;
  ASSIGN_OR_RETURN(std::unique_ptr<FileHandle> made, fs_->Open(ino, flags, root));
  const uint64_t own_number = std::exchange(made->number, record.number.load());
  made->no_atime = (record.flags.load() & kHandleNoAtime) != 0;
  if (write) SyncWhatMayBeUnsynced(*made->inode);
  void* nothing = nullptr;
  if (!Object(index)->compare_exchange_strong(nothing, made.get())) {
    made->number = own_number;  // the other one's locks stay
    fs_->Release(std::move(made));
    return static_cast<FileHandle*>(nothing);  // another thread was first
  }
  holds_->Release(ino, write);  // TakeOver's: from here on it is the handle's
  return made.release();
}

}  // namespace penstock::client
