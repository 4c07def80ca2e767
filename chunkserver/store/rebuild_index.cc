#include "chunkserver/store/rebuild_index.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <memory>

#include "chunkserver/store/chunk_index.h"
#include "chunkserver/store/index_keys.h"
#include "chunkserver/store/sequence_source.h"
#include "chunkserver/store/slab_files.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr size_t kBatchRecords = 1000;

// Takes over what the old index says, in the order of its methods.
class Rebuild {
 public:
  Rebuild(ChunkIndex& from, ChunkIndex& to, uint64_t slab_bytes)
      : from_(from), to_(to), slots_(slab_bytes) {}

  absl::Status Run(SlabFiles& slabs) {
    from_.VisitReadable(kStateKey[0], [&](std::string_view, std::string_view value) {
      auto state = StoreState::Decode(value);
      Refuse(state.status());
      if (state.ok()) old_ = *std::move(state);
    });
    RETURN_IF_ERROR(TakeSlabs());
    RETURN_IF_ERROR(TakeRecords());
    RETURN_IF_ERROR(TakePatches());
    RETURN_IF_ERROR(refused_);
    // The undo records stay behind: what the records name is durable from now on.
    for (const auto& [slab, bitmap] : bitmaps_) {
      ASSIGN_OR_RETURN(const bool exists, slabs.Exists(slab));
      if (exists) slabs.MarkDirty(slab);
    }
    RETURN_IF_ERROR(slabs.SyncDirty());
    return Finish();
  }
  const RebuiltIndex& rebuilt() const { return rebuilt_; }

 private:
  // What a newer program has written is no damage: that one can read it.
  void Refuse(const absl::Status& decoded) {
    if (absl::IsFailedPrecondition(decoded)) refused_.Update(decoded);
  }

  absl::Status TakeSlabs() {
    rebuilt_.gaps += from_.VisitReadable(kSlabPrefix, [&](std::string_view key,
                                                          std::string_view value) {
      const auto slab = DecodeSlabKey(key);
      auto stored = SlabBitmap::Decode(value);
      Refuse(stored.status());
      if (!slab || !stored.ok() || stored->slots() != slots_.SlotsPerSlab(stored->slot_bytes())) {
        ++rebuilt_.dropped;
        return;
      }
      bitmaps_.emplace(*slab, SlabBitmap(stored->slot_bytes(), stored->slots()));
    });
    return absl::OkStatus();
  }

  // False: its slots cannot be so. Whether its bytes are right is for their checksums to say.
  bool MarkSlots(const ChunkRecord& record) {
    const std::vector<Slot> own = SlotsOf(&record);
    for (const Slot& slot : own) {
      if (slot.bytes % kBlockBytes != 0 || slot.index >= slots_.SlotsPerSlab(slot.bytes)) {
        return false;
      }
      auto known = bitmaps_.find(slot.slab);
      if (known == bitmaps_.end()) continue;
      // A slab without chunks may have been cut anew since.
      if (known->second.slot_bytes() != slot.bytes && known->second.used() > 0) return false;
      if (known->second.slot_bytes() == slot.bytes && known->second.Test(slot.index)) return false;
    }
    for (const Slot& slot : own) {
      SlabBitmap& bitmap = bitmaps_[slot.slab];
      if (bitmap.slot_bytes() != slot.bytes) {
        bitmap = SlabBitmap(slot.bytes, slots_.SlotsPerSlab(slot.bytes));
      }
      bitmap.Set(slot.index);
    }
    return true;
  }

  absl::Status TakeRecords() {
    absl::Status written;
    IndexBatch batch;
    size_t batched = 0;
    rebuilt_.gaps +=
        from_.VisitReadable(kChunkPrefix, [&](std::string_view key, std::string_view value) {
          const auto chunk = DecodeChunkKey(key.substr(1));
          const auto record = DecodeRecord(value);
          Refuse(record.status());
          if (!chunk || !record.ok() || !MarkSlots(*record)) {
            ++rebuilt_.dropped;
            return;
          }
          ++rebuilt_.records;
          Count(*record);
          batch.PutRecord(*chunk, *record);
          if (IsDamaged(&*record)) batch.SetDamaged(*chunk, true);
          if (++batched % kBatchRecords != 0) return;
          written.Update(to_.Write(batch, ChunkIndex::Sync::kNo));
          batch = IndexBatch();
        });
    written.Update(to_.Write(batch, ChunkIndex::Sync::kNo));
    return written;
  }

  void Count(const ChunkRecord& record) {
    state_.chunks += record.version.valid() ? 1 : 0;
    state_.stored_bytes += record.image.stored_length;
    state_.barrier = std::max(state_.barrier, record.interval);
    sequence_ = std::max(sequence_, record.version.sequence);
    if (record.pending) sequence_ = std::max(sequence_, record.pending->version.sequence);
  }

  absl::Status TakePatches() {
    absl::Status written;
    from_.VisitReadable(kPatchPrefix, [&](std::string_view key, std::string_view value) {
      const auto id = DecodePatchKey(key);
      const auto chunk = DecodeChunkKey(value.substr(0, 16));
      if (!id || !chunk) return;
      IndexBatch batch;
      batch.PutPatch(*id, *chunk, value.substr(16));
      written.Update(to_.Write(batch, ChunkIndex::Sync::kNo));
    });
    return written;
  }

  absl::Status Finish() {
    const auto used = from_.GetSequence();
    sequence_ = std::max(sequence_ + 2 * SequenceSource::kBlock, used.ok() ? *used : 0);
    state_.barrier = std::max(state_.barrier, old_.barrier);
    state_.boot_id = old_.boot_id;
    IndexBatch batch;
    for (const auto& [slab, bitmap] : bitmaps_) batch.PutSlab(slab, bitmap);
    batch.PutSequence(sequence_);
    batch.PutState(state_);
    return to_.Write(batch, ChunkIndex::Sync::kYes);
  }

  ChunkIndex& from_;
  ChunkIndex& to_;
  const SlotAllocator slots_;
  StoreState old_;
  StoreState state_;
  uint64_t sequence_ = 0;
  std::map<uint32_t, SlabBitmap> bitmaps_;
  RebuiltIndex rebuilt_;
  absl::Status refused_;
};

struct Names {
  explicit Names(const std::string& dir)
      : index(dir + "/index"),
        fresh(dir + "/index.new"),
        damaged(dir + "/index.damaged"),
        repair(dir + "/index.repair") {}
  const std::string index, fresh, damaged, repair;
};

// The old index, as far as it can be opened. One that cannot is copied, and the copy repaired.
absl::StatusOr<std::unique_ptr<ChunkIndex>> OpenOld(const Names& names, rocksdb::Env* env,
                                                    bool* repaired) {
  auto opened = ChunkIndex::OpenToRead(names.index, env);
  if (opened.ok() || absl::IsFailedPrecondition(opened.status())) return opened;
  RETURN_IF_ERROR(ChunkIndex::Remove(names.repair, env));
  RETURN_IF_ERROR(ChunkIndex::Copy(names.index, names.repair, env));
  RETURN_IF_ERROR(ChunkIndex::Repair(names.repair, env));
  *repaired = true;
  return ChunkIndex::OpenToRead(names.repair, env);
}

}  // namespace

absl::StatusOr<bool> FinishRebuild(const std::string& dir, FileSystem* fs, rocksdb::Env* env) {
  const Names names(dir);
  if (ChunkIndex::Exists(names.index, env) || !ChunkIndex::Exists(names.fresh, env) ||
      !ChunkIndex::Exists(names.damaged, env)) {
    return false;
  }
  RETURN_IF_ERROR(ChunkIndex::Move(names.fresh, names.index, env));
  RETURN_IF_ERROR(fs->SyncDirectory(dir));
  return true;
}

absl::StatusOr<RebuiltIndex> RebuildIndex(const std::string& dir, uint64_t slab_bytes,
                                          FileSystem* fs, rocksdb::Env* env) {
  const Names names(dir);
  bool repaired = false;
  ASSIGN_OR_RETURN(std::unique_ptr<ChunkIndex> old, OpenOld(names, env, &repaired));
  RETURN_IF_ERROR(ChunkIndex::Remove(names.fresh, env));
  RETURN_IF_ERROR(ChunkIndex::Create(names.fresh, env));
  ASSIGN_OR_RETURN(std::unique_ptr<ChunkIndex> fresh, ChunkIndex::Open(names.fresh, 1 << 20, env));
  SlabFiles slabs(dir + "/slabs", slab_bytes, fs);
  Rebuild rebuild(*old, *fresh, slab_bytes);
  RETURN_IF_ERROR(rebuild.Run(slabs));
  old.reset();
  fresh.reset();
  RETURN_IF_ERROR(ChunkIndex::Remove(names.damaged, env));
  RETURN_IF_ERROR(ChunkIndex::Move(names.index, names.damaged, env));
  RETURN_IF_ERROR(ChunkIndex::Move(names.fresh, names.index, env));
  RETURN_IF_ERROR(fs->SyncDirectory(dir));
  RETURN_IF_ERROR(ChunkIndex::Remove(names.repair, env));
  RebuiltIndex rebuilt = rebuild.rebuilt();
  rebuilt.repaired = repaired;
  return rebuilt;
}

}  // namespace penstock::chunkserver
