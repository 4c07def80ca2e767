#include "chunkserver/store/barrier.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <map>

#include "common/status.h"

namespace penstock::chunkserver {
namespace {
constexpr absl::Duration kSlow = absl::Seconds(5);
}

void Barrier::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "barrier");
    Run();
  });
}

void Barrier::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

absl::Status Barrier::Wait() {
  absl::MutexLock lock(&mu_);
  if (!failed_.ok()) return failed_;
  if (stopping_) return absl::UnavailableError("the chunk store is closing");
  // One that is running may have begun before the caller's write.
  const uint64_t ticket = started_ + 1;
  wanted_ = std::max(wanted_, ticket);
  auto done = [this, ticket]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return finished_ >= ticket; };
  mu_.Await(absl::Condition(&done));
  return last_;
}

absl::Status Barrier::health() const {
  absl::MutexLock lock(&mu_);
  return failed_;
}

void Barrier::Run() {
  for (bool stopping = false; !stopping;) {
    {
      absl::MutexLock lock(&mu_);
      auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stopping_ || wanted_ > finished_;
      };
      mu_.AwaitWithTimeout(absl::Condition(&due), every_);
      stopping = stopping_;
      const bool useful = failed_.ok() && parts_.journal->dirty();
      if (wanted_ <= finished_ && !useful) continue;
      ++started_;
    }
    const absl::Duration begun = parts_.clock->SinceBoot();
    absl::Status done = RunOnce();
    const absl::Duration took = parts_.clock->SinceBoot() - begun;
    if (parts_.times != nullptr) parts_.times->Observe(took);
    if (took > kSlow) SPDLOG_WARN("barrier slow took_ms={}", absl::ToInt64Milliseconds(took));
    {
      absl::MutexLock lock(&mu_);
      finished_ = started_;
      last_ = done;
    }
    // Whoever waited goes on; what follows is for later writes.
    if (!done.ok()) {
      SPDLOG_ERROR("barrier failed error=\"{}\"", done.ToString());
      parts_.journal->MarkDirty();  // the next one does it all again
      continue;
    }
    Release();
    if (absl::Status applied = parts_.deferred->AfterBarrier(state_.barrier); !applied.ok()) {
      SPDLOG_WARN("deferred overwrites stay in the index error=\"{}\"", applied.ToString());
    }
  }
}

absl::Status Barrier::RunFirst() {
  RETURN_IF_ERROR(RunOnce());
  Release();
  return absl::OkStatus();
}

void Barrier::Fail(const absl::Status& why) {
  absl::MutexLock lock(&mu_);
  failed_ = why;
}

absl::Status Barrier::RunOnce() {
  RETURN_IF_ERROR(health());
  IntervalJournal::Closed closed = parts_.journal->Close();
  change_.Add(std::move(closed.change));
  absl::Status done = parts_.slabs->SyncDirty();
  bool mends = false;  // the kernel may have dropped bytes
  if (done.ok()) {
    done = Record(closed.interval);
    mends = absl::IsResourceExhausted(done);  // a full disk; the next barrier does it all again
  }
  if (!done.ok() && !mends) Fail(Annotate(done, "the target must be started again"));
  return done;
}

absl::Status Barrier::Record(uint64_t interval) {
  IndexBatch batch;
  RETURN_IF_ERROR(AddBitmaps(batch));
  RETURN_IF_ERROR(parts_.index->VisitUndo(
      state_.barrier + 1, interval,
      [&](uint64_t of, const ChunkKey& key, std::string_view) -> absl::StatusOr<bool> {
        batch.DeleteUndo(of, key);
        return true;
      }));
  for (uint64_t patch : change_.freed_patches) batch.DeletePatch(patch);
  StoreState next = state_;
  next.barrier = interval;
  next.stored_bytes += change_.stored_bytes;
  next.chunks += change_.chunks;
  batch.PutState(next);
  RETURN_IF_ERROR(parts_.index->Write(batch, ChunkIndex::Sync::kYes));
  state_ = std::move(next);
  number_.store(state_.barrier);
  released_ = std::exchange(change_, ResourceChange());
  return absl::OkStatus();
}

absl::Status Barrier::AddBitmaps(IndexBatch& batch) {
  // A slot may have been taken and freed again since the last barrier, never the other way round.
  std::map<uint32_t, SlabBitmap> bitmaps;
  auto bitmap_of = [&](const Slot& slot) -> absl::StatusOr<SlabBitmap*> {
    auto it = bitmaps.find(slot.slab);
    if (it == bitmaps.end()) {
      ASSIGN_OR_RETURN(SlabBitmap stored, parts_.index->GetSlab(slot.slab));
      it = bitmaps.emplace(slot.slab, std::move(stored)).first;
    }
    if (it->second.slot_bytes() != slot.bytes || slot.index >= it->second.slots()) {
      return absl::DataLossError("chunk index: a slab's record does not fit its slots");
    }
    return &it->second;
  };
  for (const Slot& slot : change_.allocated) {
    ASSIGN_OR_RETURN(SlabBitmap * bitmap, bitmap_of(slot));
    bitmap->Set(slot.index);
  }
  for (const Slot& slot : change_.freed) {
    ASSIGN_OR_RETURN(SlabBitmap * bitmap, bitmap_of(slot));
    bitmap->Clear(slot.index);
  }
  for (const auto& [slab, bitmap] : bitmaps) batch.PutSlab(slab, bitmap);
  return absl::OkStatus();
}

void Barrier::Release() {
  for (const Slot& slot : released_.freed) {
    if (slot.bytes >= kPunchedSlotBytes) {
      // Without it the space stays with the slot, which is no harm.
      parts_.slabs->Punch(slot.slab, slot.offset(), slot.bytes).IgnoreError();
    }
    parts_.slots->Release(slot);
  }
  parts_.deferred->Dropped(released_.freed_patches.size());
  released_ = ResourceChange();
}

}  // namespace penstock::chunkserver
