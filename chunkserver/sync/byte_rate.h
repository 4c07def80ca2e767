// ByteRate keeps the bytes that all syncs of this server fetch below a rate, which may change.
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "chunkserver/stop_flag.h"
#include "common/clock.h"

namespace penstock::chunkserver {

class ByteRate {
 public:
  // 0: as fast as it goes. `clock` outlives it.
  ByteRate(uint64_t bytes_per_second, Clock* clock)
      : bytes_per_second_(bytes_per_second), clock_(clock) {}

  // Waits for the turn of `bytes`. False: `stop` was set meanwhile.
  bool Wait(uint64_t bytes, const StopFlag& stop) {
    const uint64_t rate = bytes_per_second_.load(std::memory_order_relaxed);
    if (rate == 0) return !stop.is_set();
    absl::Duration wait;
    {
      absl::MutexLock lock(&mu_);
      const absl::Duration now = clock_->SinceBoot();
      const absl::Duration start = std::max(free_at_, now);
      free_at_ = start + absl::Seconds(static_cast<double>(bytes) / static_cast<double>(rate));
      wait = start - now;
    }
    return !stop.Wait(wait);
  }

  void Set(uint64_t bytes_per_second) { bytes_per_second_ = bytes_per_second; }

 private:
  std::atomic<uint64_t> bytes_per_second_;
  Clock* const clock_;  // not owned
  absl::Mutex mu_;      // innermost
  absl::Duration free_at_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::chunkserver
