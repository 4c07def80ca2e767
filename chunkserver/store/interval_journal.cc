#include "chunkserver/store/interval_journal.h"

#include "common/status.h"

namespace penstock::chunkserver {

absl::Status IntervalJournal::Change(const ChunkKey& key, const ChunkRecord* before,
                                     ChunkRecord* after, const std::optional<NewPatch>& patch) {
  ResourceChange change = ChangeBetween(before, after);
  absl::ReaderMutexLock gate(&gate_);
  IndexBatch batch;
  bool has_undo = before != nullptr && before->interval == interval_;
  if (before == nullptr) {
    // Deleted and made again within this interval: the older undo is the one that counts.
    ASSIGN_OR_RETURN(has_undo, index_->HasUndo(interval_, key));
  }
  if (!has_undo) batch.PutUndo(interval_, key, before);
  if (after != nullptr) {
    after->interval = interval_;
    batch.PutRecord(key, *after);
  } else {
    batch.DeleteRecord(key);
  }
  if (change.damaged != 0) batch.SetDamaged(key, change.damaged > 0);
  if (patch) batch.PutPatch(patch->id, key, patch->bytes);
  RETURN_IF_ERROR(index_->Write(batch, ChunkIndex::Sync::kNo));
  Add(std::move(change));
  return absl::OkStatus();
}

void IntervalJournal::Add(ResourceChange change) {
  absl::MutexLock lock(&mu_);
  totals_.stored_bytes += change.stored_bytes;
  totals_.chunks += change.chunks;
  totals_.damaged += change.damaged;
  change_.Add(std::move(change));
  dirty_ = true;
}

IntervalJournal::Closed IntervalJournal::Close() {
  absl::MutexLock gate(&gate_);
  absl::MutexLock lock(&mu_);
  Closed closed{interval_, std::move(change_)};
  ++interval_;
  change_ = ResourceChange();
  dirty_ = false;
  return closed;
}

uint64_t IntervalJournal::open_interval() const {
  absl::ReaderMutexLock gate(&gate_);
  return interval_;
}

void IntervalJournal::MarkDirty() {
  absl::MutexLock lock(&mu_);
  dirty_ = true;
}

bool IntervalJournal::dirty() const {
  absl::MutexLock lock(&mu_);
  return dirty_;
}

void IntervalJournal::AddUnfinished(ResourceChange change) { Add(std::move(change)); }

void IntervalJournal::SetDamaged(int64_t count) {
  absl::MutexLock lock(&mu_);
  totals_.damaged = count;
}

IntervalJournal::Totals IntervalJournal::totals() const {
  absl::MutexLock lock(&mu_);
  return totals_;
}

}  // namespace penstock::chunkserver
