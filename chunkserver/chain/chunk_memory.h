// ChunkMemory is what a target's process remembers of recent requests beyond the store's records:
// versions that were deleted or refused for good, the channels of chunks that no longer exist, and
// the contents that were deleted. With it a copy of a request that is still under way (an abandoned
// call in a socket buffer or a queue) can do no harm. It is lost with the process on purpose: so
// are such copies. Thread-safe. Bounded in entries and in time.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <absl/types/span.h>

#include <vector>

#include "chunkserver/chain/expiring_map.h"
#include "chunkserver/store/chunk_store.h"
#include "common/clock.h"
#include "common/ids.h"

namespace penstock::chunkserver {

class ChunkMemory {
 public:
  // Of one chunk; a file that is opened and cut again and again would else fill the memory.
  static constexpr size_t kMaxChannels = 64;
  struct Entry {
    ChunkVersion floor;
    uint32_t floor_epoch = 0;  // of the group, when the floor was set; later, it says nothing
    std::vector<ChannelRecord> channels;
    bool dead = false;  // its content was deleted: nothing may ever be here again
  };

  // `clock` must outlive the memory. Entries older than `keep` are forgotten; longer than any
  // request can be under way.
  explicit ChunkMemory(Clock* clock, absl::Duration keep = absl::Minutes(10),
                       size_t limit = 200'000);

  Entry Recall(const ChunkKey& key) const;
  // Raises the floor of this `epoch` of the group, and adds to the channels (the newest of each
  // channel stays).
  void Remember(const ChunkKey& key, ChunkVersion floor, absl::Span<const ChannelRecord> channels,
                uint32_t epoch = 0);
  // The content was deleted, with all the chunks that it ever had.
  void RememberDead(ContentId content);
  bool IsDead(ContentId content) const;
  // The chunk is as another member has it now: what was deleted here may not be deleted there. What
  // was refused in this `epoch` stays so, and that the content is dead.
  void Forget(const ChunkKey& key, uint32_t epoch);
  size_t size() const;

 private:
  struct Nothing {};

  Clock* const clock_;      // not owned
  mutable absl::Mutex mu_;  // innermost
  ExpiringMap<ChunkKey, Entry> entries_ ABSL_GUARDED_BY(mu_);
  ExpiringMap<ContentId, Nothing> dead_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::chunkserver
