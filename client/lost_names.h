// LostNames remembers, for some seconds, files of which another mount's change took a name from
// this mount's caches: a system call under way may hold the file by that name still
// (FileSystem::CheckRename says what for). Thread-safe; bounded, the oldest go first.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <utility>

#include "common/clock.h"
#include "common/ids.h"

namespace penstock::client {

class LostNames {
 public:
  explicit LostNames(Clock* clock) : clock_(clock) {}

  void Add(InodeNumber ino);  // it lost a name just now
  bool Contains(InodeNumber ino) const;

 private:
  static constexpr absl::Duration kKeptFor = absl::Seconds(10);
  static constexpr size_t kMost = 4096;
  void Expire(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Clock* const clock_;
  std::atomic<int64_t> last_ns_{INT64_MIN / 2};  // since boot; usually long ago: no lock is taken
  mutable absl::Mutex mu_;                       // innermost
  absl::flat_hash_map<InodeNumber, absl::Duration> lost_at_ ABSL_GUARDED_BY(mu_);
  std::deque<std::pair<absl::Duration, InodeNumber>> by_age_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::client
