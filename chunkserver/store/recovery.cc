#include "chunkserver/store/recovery.h"

#include <absl/container/flat_hash_map.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/status.h"

namespace penstock::chunkserver {
namespace {

bool SameBytes(const ChunkImage& a, const ChunkImage& b) {
  return a.slot == b.slot && a.stored_length == b.stored_length && a.block_crcs == b.block_crcs &&
         a.patches == b.patches;
}

}  // namespace

absl::StatusOr<Recovered> Recovery::Run() {
  out_.next_interval = state_.barrier + 1;
  RETURN_IF_ERROR(Annotate(LoadSlabs(), "load slabs"));
  RETURN_IF_ERROR(Annotate(LoadUndo(), "check what changed after the last barrier"));
  RETURN_IF_ERROR(Annotate(LoadPatches(), "load deferred overwrites"));
  return std::move(out_);
}

absl::Status Recovery::LoadSlabs() {
  return parts_.index->VisitSlabs([&](uint32_t slab, SlabBitmap bitmap) -> absl::StatusOr<bool> {
    if (bitmap.slots() != parts_.slots->SlotsPerSlab(bitmap.slot_bytes())) {
      return absl::FailedPreconditionError("slab_bytes differs from the target's");
    }
    // A power cut may have taken a file whose directory entry was not synced.
    ASSIGN_OR_RETURN(bool exists, parts_.slabs->Exists(slab));
    if (!exists) {
      if (bitmap.used() > 0)
        SPDLOG_ERROR("slab file missing slab={} slots={}", slab, bitmap.used());
      RETURN_IF_ERROR(parts_.slabs->Create(slab, /*blank=*/true));
    } else if (new_boot_ && bitmap.used() == 0) {
      RETURN_IF_ERROR(parts_.slabs->Create(slab, /*blank=*/false));  // its size may be lost
    }
    parts_.slots->AddSlab(slab, std::move(bitmap));
    return true;
  });
}

absl::Status Recovery::LoadUndo() {
  // The oldest undo of a chunk is what the barrier made durable. Bounded by what the time between
  // two barriers can change.
  std::vector<std::pair<ChunkKey, std::optional<ChunkRecord>>> changed;
  absl::flat_hash_set<ChunkKey> seen;
  RETURN_IF_ERROR(parts_.index->VisitUndo(
      state_.barrier + 1, UINT64_MAX,
      [&](uint64_t interval, const ChunkKey& key, std::string_view bytes) -> absl::StatusOr<bool> {
        out_.next_interval = std::max(out_.next_interval, interval + 1);
        if (!seen.insert(key).second) return true;
        std::optional<ChunkRecord> before;
        if (!bytes.empty()) {
          ASSIGN_OR_RETURN(before, DecodeRecord(bytes));
        }
        changed.emplace_back(key, std::move(before));
        return true;
      }));
  for (const auto& [key, before] : changed) RETURN_IF_ERROR(Settle(key, before));
  return absl::OkStatus();
}

absl::Status Recovery::Settle(const ChunkKey& key, const std::optional<ChunkRecord>& before) {
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> found, parts_.index->Get(key));
  std::optional<ChunkRecord> record = found;
  if (new_boot_ && record) {
    ++out_.checked;
    ASSIGN_OR_RETURN(bool holds, KeepWhatHolds(record, before));
    if (!holds) record = before;
    if (!holds || record->pending.has_value() != found->pending.has_value()) {
      ++out_.restored;
      // The undo stays until the barrier that ends the recovery.
      IndexBatch batch;
      if (record) {
        batch.PutRecord(key, *record);
      } else {
        batch.DeleteRecord(key);
      }
      batch.SetDamaged(key, IsDamaged(record ? &*record : nullptr));
      RETURN_IF_ERROR(parts_.index->Write(batch, ChunkIndex::Sync::kNo));
    }
  }
  const ChunkRecord* old_record = before ? &*before : nullptr;
  const ChunkRecord* new_record = record ? &*record : nullptr;
  ResourceChange change = ChangeBetween(old_record, new_record);
  for (const Slot& slot : change.allocated) {
    RETURN_IF_ERROR(parts_.slots->AddUsed(slot));
    ASSIGN_OR_RETURN(bool exists, parts_.slabs->Exists(slot.slab));
    INVARIANT(exists);  // LoadSlabs made it
  }
  for (const ChunkImage* image :
       {new_record ? &new_record->image : nullptr,
        new_record && new_record->pending ? &new_record->pending->image : nullptr}) {
    if (image != nullptr && image->slot.valid()) parts_.slabs->MarkDirty(image->slot.slab);
  }
  out_.unfinished.Add(std::move(change));
  return absl::OkStatus();
}

absl::StatusOr<bool> Recovery::KeepWhatHolds(std::optional<ChunkRecord>& record,
                                             const std::optional<ChunkRecord>& before) {
  // Bytes that the barrier made durable and that are wrong now are rot, for a reader to find; going
  // back to an older record would not mend them.
  auto holds = [&](const ChunkImage& image) -> absl::StatusOr<bool> {
    if (before && SameBytes(before->image, image)) return true;
    if (before && before->pending && SameBytes(before->pending->image, image)) return true;
    const absl::Status verified = parts_.reader->Verify(image);
    if (verified.ok()) return true;
    if (absl::IsDataLoss(verified) || absl::IsNotFound(verified)) return false;
    return verified;
  };
  if (record->version.valid()) {
    ASSIGN_OR_RETURN(bool committed_holds, holds(record->image));
    if (!committed_holds) return false;
  }
  if (record->pending && !record->pending->deletes()) {
    ASSIGN_OR_RETURN(bool pending_holds, holds(record->pending->image));
    if (!pending_holds) {
      if (!record->version.valid()) return false;
      DropPending(*record);
    }
  }
  return true;
}

absl::Status Recovery::LoadPatches() {
  // A patch that no record names belongs to a change that was undone before any barrier.
  absl::flat_hash_set<uint64_t> freed(out_.unfinished.freed_patches.begin(),
                                      out_.unfinished.freed_patches.end());
  std::vector<uint64_t> orphans;
  RETURN_IF_ERROR(parts_.index->VisitPatches(
      [&](uint64_t id, const ChunkKey& key, size_t) -> absl::StatusOr<bool> {
        out_.next_patch = std::max(out_.next_patch, id + 1);
        ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, parts_.index->Get(key));
        auto names = [id](const ChunkImage& image) {
          return std::any_of(image.patches.begin(), image.patches.end(),
                             [id](const Patch& p) { return p.id == id; });
        };
        const bool named =
            record && (names(record->image) || (record->pending && names(record->pending->image)));
        if (named || freed.contains(id)) {
          out_.patched.push_back(key);
        } else {
          orphans.push_back(id);
        }
        return true;
      }));
  IndexBatch batch;
  for (uint64_t id : orphans) batch.DeletePatch(id);
  return parts_.index->Write(batch, ChunkIndex::Sync::kNo);
}

}  // namespace penstock::chunkserver
