#include "bench/transport/server_process.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "common/status.h"

namespace penstock::bench {
namespace {

absl::Duration TimeOf(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return absl::DurationFromTimespec(now);
}

// Tells the port, or 0 and why there is none, and waits for the end of `stay_fd`.
[[noreturn]] void ServeUntilClosed(const ExchangeKind& kind, int answer_fd, int stay_fd) {
  std::unique_ptr<ExchangeServer> server = kind.server();
  absl::StatusOr<uint16_t> port = server->Start();
  if (!port.ok()) std::fprintf(stderr, "%s\n", port.status().ToString().c_str());
  const uint16_t answer = port.ok() ? *port : 0;
  char end;
  if (write(answer_fd, &answer, sizeof answer) == sizeof answer) {
    while (read(stay_fd, &end, 1) > 0) {
    }
  }
  _exit(0);  // its threads have nothing to save
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const ExchangeKind& kind) {
  int answer[2], stay[2];
  if (pipe(answer) != 0 || pipe(stay) != 0) return PosixError(errno, "no pipe");
  const pid_t pid = fork();
  if (pid < 0) return PosixError(errno, "fork");
  if (pid == 0) {
    close(answer[0]);
    close(stay[1]);
    ServeUntilClosed(kind, answer[1], stay[0]);
  }
  close(answer[1]);
  close(stay[0]);
  std::unique_ptr<ServerProcess> server(new ServerProcess(pid, stay[1]));
  const ssize_t n = read(answer[0], &server->port_, sizeof server->port_);
  close(answer[0]);
  if (n != sizeof server->port_ || server->port_ == 0) {
    return absl::UnavailableError("the server did not start");
  }
  return server;
}

ServerProcess::~ServerProcess() {
  close(stay_fd_);
  waitpid(pid_, nullptr, 0);
}

absl::Duration ServerProcess::processor_time() const {
  clockid_t clock;
  return clock_getcpuclockid(pid_, &clock) == 0 ? TimeOf(clock) : absl::ZeroDuration();
}

absl::Duration OwnProcessorTime() { return TimeOf(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace penstock::bench
