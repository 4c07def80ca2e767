#include "cli/restart_policy.h"

#include <algorithm>

namespace penstock::cli {

std::optional<RestartPolicy::Decision> RestartPolicy::Died(const Death& death) {
  const auto forget = [&](std::deque<absl::Time>& times) {
    while (!times.empty() && death.at - times.front() > limits_.window) times.pop_front();
  };
  forget(deaths_);
  forget(crashes_);
  deaths_.push_back(death.at);
  if (!death.killed) crashes_.push_back(death.at);
  if (death.served.has_value()) {
    never_ready_ = 0;
  } else if (!death.killed) {
    ++never_ready_;
  }
  const bool short_life =
      !death.killed && death.served.has_value() && *death.served < limits_.short_life;
  short_lives_ = short_life ? short_lives_ + 1 : 0;
  if (crashes_.size() > limits_.crashes || never_ready_ >= limits_.never_ready) return std::nullopt;
  Decision decision;
  decision.pause = limits_.first_pause;
  for (size_t i = 1; i < deaths_.size() && decision.pause < limits_.longest_pause; ++i) {
    decision.pause *= 2;
  }
  decision.pause = std::min(decision.pause, limits_.longest_pause);
  if (short_lives_ >= limits_.short_lives) {
    decision.drop_requests = true;
    short_lives_ = 0;
  }
  return decision;
}

}  // namespace penstock::cli
