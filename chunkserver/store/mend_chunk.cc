// Mend, Recheck, VisitDamaged and Health: chunks whose bytes were found wrong, and how they become
// right again.
#include <spdlog/spdlog.h>

#include "chunkserver/store/slab_chunk_store.h"
#include "common/status.h"

namespace penstock::chunkserver {

absl::Status SlabChunkStore::Mend(const ChunkKey& key, const ChunkContent& content) {
  ChunkChange change;
  change.kind = ChangeKind::kReplace;
  change.data = content.data;
  change.crc32c = content.crc32c;
  RETURN_IF_ERROR(CheckChange(content.version, change));
  RETURN_IF_ERROR(barrier_->health());
  absl::MutexLock lock(&locks_.Of(key));
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, index_->Get(key));
  if (!record || record->version != content.version || record->pending) {
    return absl::FailedPreconditionError("chunk " + ToString(key) + " is not at rest at version " +
                                         ToString(content.version));
  }
  // On an empty base: a new slot, so that whatever is left here stays until the record changes.
  ASSIGN_OR_RETURN(WrittenImage written, WriteImage(key, nullptr, change));
  ChunkRecord after = *record;
  after.image = std::move(written.image);
  const absl::Status changed = journal_->Change(key, &*record, &after);
  Count(changed);
  return changed;
}

absl::Status SlabChunkStore::Recheck(const ChunkKey& key) {
  absl::MutexLock lock(&locks_.Of(key));
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, index_->Get(key));
  if (!IsDamaged(record ? &*record : nullptr)) return absl::OkStatus();
  RETURN_IF_ERROR(reader_.Verify(record->image));
  ChunkRecord after = *record;
  after.image.quarantined = false;
  const absl::Status changed = journal_->Change(key, &*record, &after);
  Count(changed);
  return changed;
}

absl::Status SlabChunkStore::VisitDamaged(std::optional<ChunkKey> start_after,
                                          absl::FunctionRef<bool(const ChunkKey&)> visit) {
  return index_->VisitDamaged(
      start_after, [&](const ChunkKey& key) -> absl::StatusOr<bool> { return visit(key); });
}

uint64_t SlabChunkStore::damaged_chunks() const {
  return static_cast<uint64_t>(std::max<int64_t>(0, journal_->totals().damaged));
}

absl::Status SlabChunkStore::Health() const {
  RETURN_IF_ERROR(barrier_->health());
  return Annotate(index_->health(), "the chunk index is damaged");
}

}  // namespace penstock::chunkserver
