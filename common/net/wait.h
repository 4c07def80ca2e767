// Waiting for a file descriptor with a deadline and an interrupt. Every blocking wait of the client
// side goes through here, so that every wait can be stopped.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <absl/types/span.h>

#include "common/clock.h"

namespace penstock::net {

struct WaitLimit {
  absl::Duration deadline = absl::InfiniteDuration();  // on Clock::SinceBoot()
  int interrupt_fd = -1;                               // readable once fired; -1: none

  absl::Duration Left() const { return deadline - SystemClock()->SinceBoot(); }
};

// Waits until `fd` is ready for `events` (poll(2) bits) and returns what it is ready for.
// DEADLINE_EXCEEDED; CANCELLED with EINTR when interrupted.
absl::StatusOr<short> WaitFor(int fd, short events, const WaitLimit& limit);

// Waits until one of the descriptors is readable: its place in `fds`.
absl::StatusOr<size_t> WaitForAny(absl::Span<const int> fds, const WaitLimit& limit);

}  // namespace penstock::net
