// One lock a chunk, by stripes: held while a chunk's record and bytes change, over the disk but
// never over a sync. Taken before every other lock of the room.
#pragma once

#include <absl/hash/hash.h>
#include <absl/synchronization/mutex.h>

#include <array>

#include "common/ids.h"

namespace penstock::chunkserver {

class ChunkLocks {
 public:
  absl::Mutex& Of(const ChunkKey& key) {
    return stripes_[absl::Hash<ChunkKey>()(key) % stripes_.size()];
  }

 private:
  std::array<absl::Mutex, 1024> stripes_;
};

}  // namespace penstock::chunkserver
