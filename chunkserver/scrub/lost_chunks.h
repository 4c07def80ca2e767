// LostChunks are a target's damaged chunks of which no other member in sync has a good copy, as far
// as the last look told. In memory; a restart looks again. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>

#include "common/ids.h"

namespace penstock::chunkserver {

class LostChunks {
 public:
  static constexpr size_t kLimit = 100'000;  // more are not remembered; their count then is a floor

  // True when it was not known to be lost.
  bool Add(const ChunkKey& key) {
    absl::MutexLock lock(&mu_);
    return keys_.size() < kLimit && keys_.insert(key).second;
  }
  void Remove(const ChunkKey& key) {
    absl::MutexLock lock(&mu_);
    keys_.erase(key);
  }
  bool Has(const ChunkKey& key) const {
    absl::MutexLock lock(&mu_);
    return keys_.contains(key);
  }
  size_t size() const {
    absl::MutexLock lock(&mu_);
    return keys_.size();
  }

 private:
  mutable absl::Mutex mu_;  // innermost
  absl::flat_hash_set<ChunkKey> keys_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::chunkserver
