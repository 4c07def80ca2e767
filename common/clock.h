// Time comes in from outside, so that a test can replace it. Thread-safe.
#pragma once

#include <absl/time/clock.h>
#include <absl/time/time.h>

namespace penstock {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock (CLOCK_REALTIME), for timestamps that people see.
  virtual absl::Time Now() = 0;
  // Since some fixed point of this boot; goes on while the machine sleeps (CLOCK_BOOTTIME).
  // For every timeout and lease.
  virtual absl::Duration SinceBoot() = 0;
};

Clock* SystemClock();  // lives forever

}  // namespace penstock
