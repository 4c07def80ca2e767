#include "client/wait.h"

#include <absl/time/clock.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "common/status.h"

namespace penstock::client {
namespace {
constexpr absl::Duration kInterruptCheck = absl::Milliseconds(50);
}

absl::Status CheckInterrupt(const OpContext& op) {
  if (op.interrupt != nullptr && op.interrupt->fired()) return PosixError(EINTR, "interrupted");
  return absl::OkStatus();
}

absl::Status SleepFor(absl::Duration time, const OpContext& op) {
  if (op.interrupt == nullptr) {
    absl::SleepFor(time);
    return absl::OkStatus();
  }
  pollfd waits{op.interrupt->fd(), POLLIN, 0};
  poll(&waits, 1, static_cast<int>(std::max<int64_t>(1, absl::ToInt64Milliseconds(time))));
  return CheckInterrupt(op);
}

absl::Status WaitUntil(absl::Mutex* mu, absl::FunctionRef<bool()> condition, absl::Duration timeout,
                       const OpContext& op) {
  const absl::Time deadline = absl::Now() + timeout;
  auto holds = [](absl::FunctionRef<bool()>* c) { return (*c)(); };
  while (true) {
    absl::Time until = deadline;
    if (op.interrupt != nullptr) until = std::min(until, absl::Now() + kInterruptCheck);
    if (mu->AwaitWithDeadline(absl::Condition(+holds, &condition), until)) return absl::OkStatus();
    RETURN_IF_ERROR(CheckInterrupt(op));
    if (absl::Now() >= deadline) return PosixError(EIO, "timed out");
  }
}

}  // namespace penstock::client
