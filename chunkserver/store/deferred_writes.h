// DeferredWrites brings patches (small overwrites that lie in the index) to their place in the
// slot. Called after each barrier, by one thread. Order, for one chunk:
// 1. its record with the patch is durable and nothing is pending: no record that could come back
//    reads the slot's bytes under the patch, so they may be overwritten;
// 2. the bytes are written in place; the next barrier syncs them;
// 3. then the record is written without the patch, and a barrier later the patch's bytes go.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "chunkserver/store/chunk_index.h"
#include "chunkserver/store/chunk_locks.h"
#include "chunkserver/store/interval_journal.h"
#include "chunkserver/store/slab_files.h"

namespace penstock::chunkserver {

class DeferredWrites {
 public:
  static constexpr int64_t kPatchesPerStore = 1024;  // more small overwrites go to new slots

  struct Parts {
    ChunkIndex* index;
    IntervalJournal* journal;
    SlabFiles* slabs;
    ChunkLocks* locks;
  };
  // All must outlive this.
  explicit DeferredWrites(Parts parts) : parts_(parts) {}

  bool HasRoom() const { return patches_.load() < kPatchesPerStore; }
  // A record with a new patch was written.
  void Added(const ChunkKey& key) ABSL_LOCKS_EXCLUDED(mu_);
  // The patches' bytes are gone from the index.
  void Dropped(size_t count) { patches_.fetch_sub(static_cast<int64_t>(count)); }
  // Intervals up to `barrier` are durable. An error leaves the rest for the next time.
  absl::Status AfterBarrier(uint64_t barrier) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct InPlace {
    uint64_t interval = 0;  // whose barrier makes the bytes durable
    std::vector<uint64_t> patches;
  };
  absl::Status WriteInPlace(const ChunkKey& key, uint64_t barrier) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status DropPatches(const ChunkKey& key, const std::vector<uint64_t>& patches);

  const Parts parts_;
  std::atomic<int64_t> patches_{0};
  absl::Mutex mu_;                                              // innermost
  absl::flat_hash_set<ChunkKey> waiting_ ABSL_GUARDED_BY(mu_);  // chunks with patches to write
  absl::flat_hash_map<ChunkKey, InPlace> in_place_;             // of the calling thread only
};

}  // namespace penstock::chunkserver
