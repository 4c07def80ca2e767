#include "chunkserver/store/deferred_writes.h"

#include <algorithm>
#include <utility>

#include "common/status.h"

namespace penstock::chunkserver {

void DeferredWrites::Added(const ChunkKey& key) {
  patches_.fetch_add(1);
  absl::MutexLock lock(&mu_);
  waiting_.insert(key);
}

absl::Status DeferredWrites::AfterBarrier(uint64_t barrier) {
  std::vector<std::pair<ChunkKey, InPlace>> synced;
  for (const auto& [key, in_place] : in_place_) {
    if (in_place.interval <= barrier) synced.emplace_back(key, in_place);
  }
  for (const auto& [key, in_place] : synced) {
    RETURN_IF_ERROR(DropPatches(key, in_place.patches));
    in_place_.erase(key);
  }
  std::vector<ChunkKey> waiting;
  {
    absl::MutexLock lock(&mu_);
    waiting.assign(waiting_.begin(), waiting_.end());
  }
  for (const ChunkKey& key : waiting) {
    if (in_place_.contains(key)) continue;  // one round at a time
    RETURN_IF_ERROR(WriteInPlace(key, barrier));
  }
  return absl::OkStatus();
}

absl::Status DeferredWrites::WriteInPlace(const ChunkKey& key, uint64_t barrier) {
  absl::MutexLock chunk_lock(&parts_.locks->Of(key));
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, parts_.index->Get(key));
  const bool patched = record && (!record->image.patches.empty() ||
                                  (record->pending && !record->pending->image.patches.empty()));
  if (patched && (record->pending || record->interval > barrier)) return absl::OkStatus();
  {
    // The chunk's lock keeps new patches away.
    absl::MutexLock lock(&mu_);
    waiting_.erase(key);
  }
  if (!patched) return absl::OkStatus();
  InPlace& in_place = in_place_[key];
  for (const Patch& patch : record->image.patches) {
    absl::StatusOr<std::string> bytes = parts_.index->GetPatch(patch.id);
    absl::Status written = bytes.status();
    if (written.ok()) {
      written =
          parts_.slabs->Write(record->image.slot.slab, record->image.slot.offset() + patch.offset,
                              std::string_view(*bytes).substr(0, patch.length));
    }
    if (!written.ok()) {
      in_place_.erase(key);
      absl::MutexLock lock(&mu_);
      waiting_.insert(key);
      return Annotate(written, "write deferred overwrite in place");
    }
    in_place.patches.push_back(patch.id);
  }
  // Written before this interval ends, so the barrier that ends it syncs them.
  in_place.interval = parts_.journal->open_interval();
  parts_.journal->MarkDirty();
  return absl::OkStatus();
}

absl::Status DeferredWrites::DropPatches(const ChunkKey& key,
                                         const std::vector<uint64_t>& patches) {
  absl::MutexLock chunk_lock(&parts_.locks->Of(key));
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, parts_.index->Get(key));
  if (!record) return absl::OkStatus();
  ChunkRecord after = *record;
  auto drop = [&](ChunkImage& image) {
    return std::erase_if(image.patches, [&](const Patch& p) {
      return std::find(patches.begin(), patches.end(), p.id) != patches.end();
    });
  };
  size_t dropped = drop(after.image);
  if (after.pending) dropped += drop(after.pending->image);
  if (dropped == 0) return absl::OkStatus();
  return parts_.journal->Change(key, &*record, &after);
}

}  // namespace penstock::chunkserver
