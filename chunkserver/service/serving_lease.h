// ServingLease ends what this server may answer when it has not heard from the metaserver for too
// long: by then the metaserver may have taken it out of its groups, and others write what is not
// here (DESIGN.md section 6, Times). Counted from the *sending* of the last acknowledged heartbeat,
// so that no delay makes it longer. Thread-safe; holds() is one load and a look at the clock.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "common/clock.h"

namespace penstock::chunkserver {

class ServingLease {
 public:
  // `clock` outlives it. `length`: at most half of the time after which the metaserver takes a
  // silent server for offline.
  ServingLease(Clock* clock, absl::Duration length)
      : clock_(clock), length_ns_(absl::ToInt64Nanoseconds(length)) {}

  // A heartbeat that was sent at `sent` (Clock::SinceBoot()) was acknowledged. One thread.
  void Renew(absl::Duration sent) {
    if (!holds()) term_.fetch_add(1, std::memory_order_release);
    ends_ns_.store(absl::ToInt64Nanoseconds(sent) + length_ns_, std::memory_order_release);
  }
  // Never before the first heartbeat.
  bool holds() const {
    return absl::ToInt64Nanoseconds(clock_->SinceBoot()) < ends_ns_.load(std::memory_order_acquire);
  }
  // How long it still holds; zero when it does not.
  absl::Duration left() const {
    const absl::Duration ends = absl::Nanoseconds(ends_ns_.load(std::memory_order_acquire));
    return std::max(absl::ZeroDuration(), ends - clock_->SinceBoot());
  }
  // UNAVAILABLE, so that a client looks for a newer map and asks another member.
  absl::Status Check() const {
    if (holds()) return absl::OkStatus();
    return absl::UnavailableError("this server has lost touch with the metaserver");
  }
  // Another one when the lease has ended in between, and begun anew.
  uint64_t term() const { return term_.load(std::memory_order_acquire); }
  // OK: it has held ever since that term was asked for. So the metaserver has not gone on without
  // this server: a session that was let in then is not fenced anywhere yet.
  absl::Status CheckStill(uint64_t term) const {
    if (term == this->term()) return Check();
    return absl::UnavailableError("this server had lost touch with the metaserver meanwhile");
  }

 private:
  Clock* const clock_;  // not owned
  const int64_t length_ns_;
  std::atomic<int64_t> ends_ns_{0};
  std::atomic<uint64_t> term_{0};
};

}  // namespace penstock::chunkserver
