#include "common/net/wait.h"

#include <absl/strings/str_cat.h>
#include <poll.h>

#include <cerrno>
#include <cstring>

#include "common/status.h"

namespace penstock::net {

absl::StatusOr<short> WaitFor(int fd, short events, const WaitLimit& limit) {
  while (true) {
    pollfd fds[2] = {{fd, events, 0}, {limit.interrupt_fd, POLLIN, 0}};
    const nfds_t count = limit.interrupt_fd >= 0 ? 2 : 1;
    timespec timeout{};
    const timespec* timeout_or_forever = nullptr;
    if (limit.deadline != absl::InfiniteDuration()) {
      timeout = absl::ToTimespec(std::max(limit.Left(), absl::ZeroDuration()));
      timeout_or_forever = &timeout;
    }
    const int ready = ppoll(fds, count, timeout_or_forever, nullptr);
    if (ready < 0) {
      if (errno == EINTR) continue;
      return absl::InternalError(absl::StrCat("poll: ", std::strerror(errno)));
    }
    if (fds[0].revents != 0) return fds[0].revents;
    if (fds[1].revents != 0) return PosixError(EINTR, "call was interrupted");
    if (limit.Left() <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("no answer in time");
    }
  }
}

}  // namespace penstock::net
