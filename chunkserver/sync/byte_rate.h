// ByteRate keeps the bytes that all syncs of this server fetch below a rate, which may change.
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <algorithm>
#include <cstdint>

#include "chunkserver/stop_flag.h"
#include "common/clock.h"

namespace penstock::chunkserver {

class ByteRate {
 public:
  // 0: as fast as it goes. `clock` outlives it.
  ByteRate(uint64_t bytes_per_second, Clock* clock)
      : clock_(clock), bytes_per_second_(bytes_per_second) {}

  // Waits for the turn of `bytes`. False: `stop` was set meanwhile.
  bool Wait(uint64_t bytes, const StopFlag& stop) {
    absl::Duration start;
    uint64_t changes = 0;
    {
      absl::MutexLock lock(&mu_);
      if (bytes_per_second_ == 0) return !stop.is_set();
      changes = changes_;
      start = std::max(free_at_, clock_->SinceBoot());
      free_at_ = start +
                 absl::Seconds(static_cast<double>(bytes) / static_cast<double>(bytes_per_second_));
    }
    while (true) {
      const absl::Duration left = start - clock_->SinceBoot();
      if (left <= absl::ZeroDuration() || Changes() != changes) return !stop.is_set();
      if (stop.Wait(std::min(left, kLookEvery))) return false;
    }
  }

  // Also for those who wait: what was reserved at the old rate is forgotten.
  void Set(uint64_t bytes_per_second) {
    absl::MutexLock lock(&mu_);
    if (bytes_per_second == bytes_per_second_) return;
    bytes_per_second_ = bytes_per_second;
    free_at_ = clock_->SinceBoot();
    ++changes_;
  }

 private:
  static constexpr absl::Duration kLookEvery = absl::Seconds(1);
  uint64_t Changes() {
    absl::MutexLock lock(&mu_);
    return changes_;
  }

  Clock* const clock_;  // not owned
  absl::Mutex mu_;      // innermost
  uint64_t bytes_per_second_ ABSL_GUARDED_BY(mu_);
  uint64_t changes_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration free_at_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::chunkserver
