// Recovery brings the index and the slabs of a target together at start-up. It looks only at what
// changed after the last barrier (the undo records) and at deferred overwrites, never at all
// chunks.
// - Same boot: the kernel still holds every write; the records stand.
// - New boot: bytes written after the last barrier may be lost or torn. Each record changed since
// is
//   checked against its bytes; where they do not fit, what it was at the barrier comes back.
#pragma once

#include <absl/container/flat_hash_set.h>
#include <absl/status/statusor.h>

#include <vector>

#include "chunkserver/store/chunk_index.h"
#include "chunkserver/store/chunk_record.h"
#include "chunkserver/store/image_reader.h"
#include "chunkserver/store/slab_files.h"
#include "chunkserver/store/slot_allocator.h"

namespace penstock::chunkserver {

struct Recovered {
  uint64_t next_interval = 1;
  uint64_t next_patch = 1;
  ResourceChange unfinished;      // what no barrier has made durable
  std::vector<ChunkKey> patched;  // once for each patch
  uint64_t checked = 0;
  uint64_t restored = 0;
};

class Recovery {
 public:
  struct Parts {
    ChunkIndex* index;
    SlabFiles* slabs;
    SlotAllocator* slots;
    ImageReader* reader;
  };
  Recovery(Parts parts, StoreState state, bool new_boot)
      : parts_(parts), state_(std::move(state)), new_boot_(new_boot) {}

  absl::StatusOr<Recovered> Run();

 private:
  absl::Status LoadSlabs();
  absl::Status LoadUndo();
  // Decides on one chunk that changed after the barrier.
  absl::Status Settle(const ChunkKey& key, const std::optional<ChunkRecord>& before);
  // `record` as far as its bytes are there; false: not even the committed version is.
  absl::StatusOr<bool> KeepWhatHolds(std::optional<ChunkRecord>& record,
                                     const std::optional<ChunkRecord>& before);
  absl::Status LoadPatches();

  const Parts parts_;
  const StoreState state_;
  const bool new_boot_;
  Recovered out_;
};

}  // namespace penstock::chunkserver
