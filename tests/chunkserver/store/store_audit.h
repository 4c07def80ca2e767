// Looks at a closed target's index: slots and bitmaps must agree, and every patch must have an
// owner.
#pragma once

#include <set>
#include <string>

#include "chunkserver/store/chunk_index.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {

// Call after the store was closed cleanly.
inline void AuditClosedTarget(StoreFixture& f) {
  auto index = ChunkIndex::Open(f.options.dir + "/index", 1 << 20, f.env.get());
  REQUIRE(index.ok());
  std::set<Slot> named, taken;
  std::set<uint64_t> named_patches;
  size_t named_times = 0;
  int64_t chunks = 0, stored_bytes = 0;
  auto add_patches = [&](const ChunkRecord& record) {
    for (const Patch& p : record.image.patches) named_patches.insert(p.id);
    if (!record.pending) return;
    for (const Patch& p : record.pending->image.patches) named_patches.insert(p.id);
  };
  REQUIRE((*index)
              ->VisitGroup(0, 1, std::nullopt,
                           [&](const ChunkKey&, const ChunkRecord& r) -> absl::StatusOr<bool> {
                             std::set<Slot> own;
                             if (r.image.slot.valid()) own.insert(r.image.slot);
                             if (r.pending && r.pending->image.slot.valid()) {
                               own.insert(r.pending->image.slot);
                             }
                             named.insert(own.begin(), own.end());
                             named_times += own.size();
                             chunks += r.version.valid() ? 1 : 0;
                             stored_bytes += r.image.stored_length;
                             add_patches(r);
                             return true;
                           })
              .ok());
  REQUIRE(named.size() == named_times);  // no slot has two owners
  REQUIRE(
      (*index)
          ->VisitUndo(0, UINT64_MAX,
                      [&](uint64_t, const ChunkKey&, std::string_view b) -> absl::StatusOr<bool> {
                        if (b.empty()) return true;
                        ASSIGN_OR_RETURN(ChunkRecord record, DecodeRecord(b));
                        add_patches(record);
                        return true;
                      })
          .ok());
  REQUIRE((*index)
              ->VisitSlabs([&](uint32_t slab, SlabBitmap bitmap) -> absl::StatusOr<bool> {
                for (uint32_t i = 0; i < bitmap.slots(); ++i) {
                  if (bitmap.Test(i)) taken.insert(Slot{slab, i, bitmap.slot_bytes()});
                }
                return true;
              })
              .ok());
  REQUIRE(named == taken);
  REQUIRE((*index)
              ->VisitPatches([&](uint64_t id, const ChunkKey&, size_t) -> absl::StatusOr<bool> {
                REQUIRE(named_patches.contains(id));
                return true;
              })
              .ok());
  const StoreState state = (*index)->GetState().value();
  REQUIRE(static_cast<int64_t>(state.chunks) == chunks);
  REQUIRE(static_cast<int64_t>(state.stored_bytes) == stored_bytes);
}

}  // namespace penstock::chunkserver
