// LatencyHistogram counts how long something took, in fixed buckets from 50 us to 10 s.
// Thread-safe; an observation is two additions, without a lock.
#pragma once

#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <array>
#include <atomic>
#include <cstdint>

namespace penstock {

class LatencyHistogram {
 public:
  static constexpr std::array<double, 17> kBoundsSeconds = {
      50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3,
      50e-3, 100e-3, 250e-3, 500e-3, 1,    2.5,    5,    10};

  struct Snapshot {
    std::array<uint64_t, kBoundsSeconds.size() + 1> counts =
        {};  // of each bucket; the last: beyond
    double sum_seconds = 0;
    uint64_t count() const {
      uint64_t all = 0;
      for (uint64_t one : counts) all += one;
      return all;
    }
  };

  void Observe(absl::Duration took) {
    took = std::max(took, absl::ZeroDuration());  // the clock may be set back
    const double seconds = absl::ToDoubleSeconds(took);
    size_t bucket = 0;
    while (bucket < kBoundsSeconds.size() && seconds > kBoundsSeconds[bucket]) ++bucket;
    counts_[bucket].fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(absl::ToInt64Nanoseconds(took), std::memory_order_relaxed);
  }
  Snapshot Take() const {
    Snapshot now;
    for (size_t i = 0; i < counts_.size(); ++i) {
      now.counts[i] = counts_[i].load(std::memory_order_relaxed);
    }
    now.sum_seconds =
        absl::ToDoubleSeconds(absl::Nanoseconds(sum_ns_.load(std::memory_order_relaxed)));
    return now;
  }

 private:
  std::array<std::atomic<uint64_t>, kBoundsSeconds.size() + 1> counts_ = {};
  std::atomic<int64_t> sum_ns_{0};
};

// Observes the time from its making to its end.
class LatencyTimer {
 public:
  explicit LatencyTimer(LatencyHistogram* histogram)
      : histogram_(histogram), begun_ns_(absl::GetCurrentTimeNanos()) {}
  ~LatencyTimer() {
    if (histogram_ == nullptr) return;
    histogram_->Observe(absl::Nanoseconds(absl::GetCurrentTimeNanos() - begun_ns_));
  }
  LatencyTimer(const LatencyTimer&) = delete;
  LatencyTimer& operator=(const LatencyTimer&) = delete;
  void Forget() { histogram_ = nullptr; }

 private:
  LatencyHistogram* histogram_;  // not owned
  const int64_t begun_ns_;
};

}  // namespace penstock
