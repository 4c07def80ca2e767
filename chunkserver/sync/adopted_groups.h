// AdoptedGroups remembers of which reconciling groups a target here, as their leader, has adopted
// what the others have, and under which epoch. In memory only: after a restart it is done again.
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <utility>

#include "common/ids.h"

namespace penstock::chunkserver {

class AdoptedGroups {
 public:
  void Set(TargetId target, GroupId group, uint32_t epoch) {
    absl::MutexLock lock(&mu_);
    epochs_[{target, group}] = epoch;
  }
  bool Has(TargetId target, GroupId group, uint32_t epoch) const {
    absl::MutexLock lock(&mu_);
    auto it = epochs_.find({target, group});
    return it != epochs_.end() && it->second == epoch;
  }

 private:
  mutable absl::Mutex mu_;  // innermost
  // At most one for each group of each target here.
  absl::flat_hash_map<std::pair<TargetId, GroupId>, uint32_t> epochs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::chunkserver
