// ServerProcess runs an ExchangeServer in a child process, which ends with this object or with the
// process that made it.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <memory>

#include "bench/transport/exchange.h"

namespace penstock::bench {

class ServerProcess {
 public:
  // Forks: call it before any thread exists.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(const ExchangeKind& kind);
  ~ServerProcess();

  uint16_t port() const { return port_; }
  absl::Duration processor_time() const;  // of all its threads so far

 private:
  ServerProcess(pid_t pid, int stay_fd) : pid_(pid), stay_fd_(stay_fd) {}

  const pid_t pid_;
  const int stay_fd_;  // the child ends when it is closed
  uint16_t port_ = 0;
};

// Of this process.
absl::Duration OwnProcessorTime();

}  // namespace penstock::bench
