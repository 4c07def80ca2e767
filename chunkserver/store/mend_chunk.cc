// Mend, Recheck, VisitDamaged and Health: chunks whose bytes were found wrong, and how they become
// right again.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "chunkserver/store/block_checksums.h"
#include "chunkserver/store/slab_chunk_store.h"
#include "common/checksum.h"
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
  if (!record || record->version != content.version) {
    return absl::FailedPreconditionError("chunk " + ToString(key) + " is not at version " +
                                         ToString(content.version));
  }
  ChunkRecord after = *record;
  const bool shared = record->pending && !record->pending->deletes() &&
                      record->image.slot.valid() &&
                      record->pending->image.slot == record->image.slot;
  std::string whole;
  if (shared) {
    ASSIGN_OR_RETURN(whole, PendingOver(*record, content.data));
  }
  // On an empty base: a new slot, so that whatever is left here stays until the record changes. In
  // the reserve, too: the old slot becomes free for it.
  ASSIGN_OR_RETURN(WrittenImage written, WriteImage(key, nullptr, change, Reserve::kUse));
  after.image = std::move(written.image);
  if (shared) {
    change.data = whole;
    change.crc32c = Crc32c(whole);
    auto pending = WriteImage(key, nullptr, change, Reserve::kUse);
    if (!pending.ok()) {
      if (written.new_slot.valid()) slots_.Release(written.new_slot);
      return pending.status();
    }
    after.pending->image = std::move(pending->image);
  }
  const absl::Status changed = journal_->Change(key, &*record, &after);
  Count(changed);
  return changed;
}

absl::StatusOr<std::string> SlabChunkStore::PendingOver(const ChunkRecord& record,
                                                        absl::Span<const char> base) {
  const ChunkImage& damaged = record.image;
  const ChunkImage& image = record.pending->image;
  const uint32_t kept = std::min(damaged.stored_length, image.stored_length);
  if (base.size() < kept) return absl::DataLossError("the source's chunk is too short");
  std::string bytes(image.stored_length, '\0');
  std::copy_n(base.data(), kept, bytes.data());
  const uint32_t own = image.stored_length - kept;
  RETURN_IF_ERROR(slabs_.Read(image.slot.slab, image.slot.offset() + kept,
                              absl::MakeSpan(bytes.data() + kept, own)));
  for (const Patch& patch : image.patches) {
    // The source's bytes have those of the committed version.
    if (std::count(damaged.patches.begin(), damaged.patches.end(), patch) > 0) continue;
    ASSIGN_OR_RETURN(const std::string piece, index_->GetPatch(patch.id));
    if (piece.size() < patch.length) return absl::DataLossError("deferred overwrite is too short");
    std::copy_n(piece.data(), patch.length, bytes.data() + patch.offset);
  }
  uint32_t unused = 0;
  if (!CheckBlocks(bytes, image.block_crcs.data(), 0, &unused)) {
    return absl::DataLossError("what is pending is damaged, too");
  }
  bytes.resize(image.logical_length, '\0');
  return bytes;
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
