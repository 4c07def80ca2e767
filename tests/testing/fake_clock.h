// A clock that a test moves by hand. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include "common/clock.h"

namespace penstock::testing {

class FakeClock : public Clock {
 public:
  absl::Time Now() override {
    absl::MutexLock lock(&mu_);
    return absl::FromUnixSeconds(1'700'000'000) + passed_;
  }
  absl::Duration SinceBoot() override {
    absl::MutexLock lock(&mu_);
    return absl::Seconds(1000) + passed_;
  }
  void Advance(absl::Duration by) {
    absl::MutexLock lock(&mu_);
    passed_ += by;
  }

 private:
  absl::Mutex mu_;
  absl::Duration passed_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::testing
