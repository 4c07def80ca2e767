#include "common/net/wait.h"

#include <absl/container/inlined_vector.h>
#include <absl/strings/str_cat.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/status.h"

namespace penstock::net {
namespace {

// Polls `fds`, the last of which is the interrupt (ignored when it is negative).
absl::Status Poll(absl::Span<pollfd> fds, const WaitLimit& limit) {
  while (true) {
    timespec timeout{};
    const timespec* timeout_or_forever = nullptr;
    if (limit.deadline != absl::InfiniteDuration()) {
      timeout = absl::ToTimespec(std::max(limit.Left(), absl::ZeroDuration()));
      timeout_or_forever = &timeout;
    }
    const int ready = ppoll(fds.data(), fds.size(), timeout_or_forever, nullptr);
    if (ready < 0) {
      if (errno == EINTR) continue;
      return absl::InternalError(absl::StrCat("poll: ", std::strerror(errno)));
    }
    for (const pollfd& each : fds.first(fds.size() - 1)) {
      if (each.revents != 0) return absl::OkStatus();
    }
    if (fds.back().revents != 0) return PosixError(EINTR, "call was interrupted");
    if (limit.Left() <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("no answer in time");
    }
  }
}

}  // namespace

absl::StatusOr<short> WaitFor(int fd, short events, const WaitLimit& limit) {
  pollfd fds[2] = {{fd, events, 0}, {limit.interrupt_fd, POLLIN, 0}};
  RETURN_IF_ERROR(Poll(absl::MakeSpan(fds), limit));
  return fds[0].revents;
}

absl::StatusOr<size_t> WaitForAny(absl::Span<const int> fds, const WaitLimit& limit) {
  absl::InlinedVector<pollfd, 4> all;
  for (int fd : fds) all.push_back({fd, POLLIN, 0});
  all.push_back({limit.interrupt_fd, POLLIN, 0});
  RETURN_IF_ERROR(Poll(absl::MakeSpan(all), limit));
  const auto ready =
      std::find_if(all.begin(), all.end(), [](const pollfd& each) { return each.revents != 0; });
  return static_cast<size_t>(ready - all.begin());
}

}  // namespace penstock::net
