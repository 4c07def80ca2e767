// RestartPolicy decides when a mount's client that died is started again, and when to give up.
#pragma once

#include <absl/time/time.h>

#include <deque>
#include <optional>

namespace penstock::cli {

struct RestartLimits {
  absl::Duration window = absl::Minutes(1);  // deaths older than this are forgotten
  size_t crashes = 20;                       // within it, SIGKILL apart: the mount is given up
  int never_ready = 5;                       // so many in a row that never served: given up
  absl::Duration first_pause = absl::Milliseconds(50);  // doubled by each death in the window
  absl::Duration longest_pause = absl::Seconds(2);
  // Clients that die by themselves so soon after they began to serve, so often in a row, may die of
  // a request: what was not answered is dropped.
  absl::Duration short_life = absl::Seconds(3);
  int short_lives = 3;
};

class RestartPolicy {
 public:
  explicit RestartPolicy(RestartLimits limits = {}) : limits_(limits) {}

  struct Decision {
    absl::Duration pause;
    bool drop_requests = false;  // those that were not answered end with ECONNABORTED
  };
  struct Death {
    absl::Time at;
    std::optional<absl::Duration> served;  // how long; nullopt: it never did
    bool killed = false;                   // by SIGKILL: not by itself
  };
  // nullopt: give up.
  std::optional<Decision> Died(const Death& death);

 private:
  const RestartLimits limits_;
  std::deque<absl::Time> deaths_;   // in the window
  std::deque<absl::Time> crashes_;  // those that were not by SIGKILL
  int never_ready_ = 0;
  int short_lives_ = 0;
};

}  // namespace penstock::cli
