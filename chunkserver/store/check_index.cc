// CheckIndex: whether a target's index says one thing everywhere.
#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_cat.h>

#include <map>

#include "chunkserver/store/index_keys.h"
#include "chunkserver/store/slab_chunk_store.h"
#include "common/status.h"
#include "common/text.h"

namespace penstock::chunkserver {
namespace {

constexpr size_t kMostNamed = 20;  // of one kind of damage; more of the same help nobody

// Looks at one consistent state of the index. What the slabs' bitmaps say is of the last barrier;
// the undo records tell what each chunk was then.
class IndexCheck {
 public:
  IndexCheck(const SlotAllocator& slots, IndexReport* report) : slots_(slots), report_(report) {}

  // In the order of kPrefixes.
  static constexpr char kPrefixes[] = {kStateKey[0], kUndoPrefix, kChunkPrefix, kSlabPrefix};
  // FAILED_PRECONDITION: of a format that this program does not know, which is no damage.
  absl::Status Take(std::string_view key, std::string_view value) {
    switch (key[0]) {
      case kStateKey[0]:
        TakeState(value);
        break;
      case kUndoPrefix:
        TakeUndo(key, value);
        break;
      case kChunkPrefix:
        TakeChunk(key, value);
        break;
      default:
        TakeSlab(key, value);
    }
    return refused_;
  }
  void Finish() {
    for (const auto& [slab, at_barrier] : barrier_) {
      if (at_barrier.used() > 0 && !seen_.contains(slab)) {
        Say(absl::StrCat("slab ", slab, " holds chunks and has no record"));
      }
    }
  }

 private:
  // What was decoded: false says that it is damaged.
  bool Sound(const absl::Status& decoded, std::string_view of) {
    if (decoded.ok()) return true;
    if (absl::IsFailedPrecondition(decoded)) {
      refused_.Update(Annotate(decoded, of));
    } else {
      Say(absl::StrCat(ToAbsl(of), ": ", decoded.message()));
    }
    return false;
  }

  void Say(std::string what) {
    ++report_->damage_count;
    if (report_->damage.size() < kMostNamed) report_->damage.push_back(std::move(what));
  }

  void TakeState(std::string_view value) {
    auto state = StoreState::Decode(value);
    if (!Sound(state.status(), "state")) return;
    state_ = *std::move(state);
  }

  void TakeUndo(std::string_view key, std::string_view value) {
    const auto decoded = DecodeUndoKey(key);
    if (!decoded) return Say("an undo record has a damaged key");
    if (decoded->first <= state_.barrier || before_.contains(decoded->second)) return;
    std::optional<ChunkRecord> record;
    if (!value.empty()) {
      auto got = DecodeRecord(value);
      if (!Sound(got.status(), "undo record of chunk " + ToString(decoded->second))) return;
      record = *std::move(got);
    }
    // Of a chunk that was deleted since, only this tells what its slot was.
    Mark(barrier_, decoded->second, record ? &*record : nullptr, /*twice_is_damage=*/true);
    before_.insert(decoded->second);
  }

  void TakeChunk(std::string_view key, std::string_view value) {
    const auto chunk = DecodeChunkKey(key.substr(1));
    if (!chunk) return Say("a chunk record has a damaged key");
    ++report_->records;
    auto record = DecodeRecord(value);
    if (!Sound(record.status(), "record of chunk " + ToString(*chunk))) return;
    Mark(now_, *chunk, &*record, /*twice_is_damage=*/true);
    if (!before_.contains(*chunk)) Mark(barrier_, *chunk, &*record, /*twice_is_damage=*/false);
  }

  using Bitmaps = std::map<uint32_t, SlabBitmap>;
  void Mark(Bitmaps& bitmaps, const ChunkKey& key, const ChunkRecord* record,
            bool twice_is_damage) {
    for (const Slot& slot : SlotsOf(record)) {
      if (slot.index >= slots_.SlotsPerSlab(slot.bytes)) {
        Say(absl::StrCat("chunk ", ToString(key), " lies outside its slab"));
        continue;
      }
      auto [it, fresh] = bitmaps.try_emplace(slot.slab, SlabBitmap());
      if (fresh) it->second = SlabBitmap(slot.bytes, slots_.SlotsPerSlab(slot.bytes));
      if (it->second.slot_bytes() != slot.bytes) {
        Say(absl::StrCat("chunk ", ToString(key), " has a slot of another size than slab ",
                         slot.slab));
        continue;
      }
      if (it->second.Test(slot.index) && twice_is_damage) {
        Say(absl::StrCat("chunk ", ToString(key), " shares its slot with another"));
      }
      it->second.Set(slot.index);
    }
  }

  void TakeSlab(std::string_view key, std::string_view value) {
    const auto slab = DecodeSlabKey(key);
    auto stored = SlabBitmap::Decode(value);
    if (!slab) return Say("a slab record has a damaged key");
    if (!Sound(stored.status(), absl::StrCat("slab ", *slab))) return;
    seen_.insert(*slab);
    auto named = barrier_.find(*slab);
    const bool none = named == barrier_.end();
    if (!none && (named->second.slot_bytes() != stored->slot_bytes() ||
                  named->second.slots() != stored->slots())) {
      return Say(absl::StrCat("slab ", *slab, " is cut otherwise than its chunks say"));
    }
    for (uint32_t i = 0; i < stored->slots(); ++i) {
      const bool is_named = !none && named->second.Test(i);
      if (is_named && !stored->Test(i)) {
        Say(absl::StrCat("slot ", i, " of slab ", *slab, " is taken and marked as free"));
      }
      if (!is_named && stored->Test(i)) ++report_->leaked_slots;
    }
  }

  const SlotAllocator& slots_;
  IndexReport* const report_;
  StoreState state_;
  absl::flat_hash_set<ChunkKey> before_;  // with an undo record
  Bitmaps barrier_;                       // named by the records of the last barrier
  Bitmaps now_;
  absl::flat_hash_set<uint32_t> seen_;
  absl::Status refused_;
};

}  // namespace

absl::StatusOr<IndexReport> SlabChunkStore::CheckIndex() {
  RETURN_IF_ERROR(index_->VerifyFiles());
  IndexReport report;
  IndexCheck check(slots_, &report);
  RETURN_IF_ERROR(index_->VisitSnapshot(
      IndexCheck::kPrefixes,
      [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
        RETURN_IF_ERROR(check.Take(key, value));
        return true;
      }));
  check.Finish();
  if (!report.damage.empty()) index_->Condemn(report.damage.front());
  return report;
}

}  // namespace penstock::chunkserver
