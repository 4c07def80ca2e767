// Waits that end: with a condition, a deadline or an interrupt.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include "client/op_context.h"

namespace penstock::client {

// EINTR once the interrupt fired.
absl::Status CheckInterrupt(const OpContext& op);

// Sleeps; EINTR when interrupted before the end.
absl::Status SleepFor(absl::Duration time, const OpContext& op);

// Waits, with `mu` held, until `condition` (read under `mu`) holds. EIO after `timeout`.
absl::Status WaitUntil(absl::Mutex* mu, absl::FunctionRef<bool()> condition, absl::Duration timeout,
                       const OpContext& op) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

// Growing pauses between tries.
class Backoff {
 public:
  Backoff(absl::Duration first, absl::Duration limit) : next_(first), limit_(limit) {}
  absl::Duration Next() {
    absl::Duration now = next_;
    next_ = std::min(next_ * 2, limit_);
    return now;
  }

 private:
  absl::Duration next_;
  absl::Duration limit_;
};

}  // namespace penstock::client
