// Timeline is the one thread, the one clock and the one source of randomness of a simulated
// cluster: events run in the order of their times, and of their making when these are equal. The
// same seed makes the same run.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <queue>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "common/clock.h"

namespace penstock::simulation {

class Timeline : public Clock {
 public:
  explicit Timeline(uint64_t seed) : random_(seed) {}

  absl::Time Now() override { return absl::FromUnixSeconds(1'800'000'000) + passed(); }
  absl::Duration SinceBoot() override { return absl::Hours(1) + passed(); }
  int64_t now_ms() const { return now_ms_; }
  int64_t events() const { return done_; }
  // Of everything that happened so far: equal runs have equal ones.
  uint64_t digest() const { return digest_; }

  void At(int64_t delay_ms, std::function<void()> what) {
    events_.push(Event{now_ms_ + delay_ms, made_++, std::move(what)});
  }
  // Runs the next event.
  void Step() {
    Event event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_ms_ = event.at_ms;
    ++done_;
    digest_ = digest_ * 1'000'003 + static_cast<uint64_t>(now_ms_) + made_;
    event.what();
  }

  int64_t Pick(int64_t low, int64_t high) {  // inclusive
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  bool Chance(double probability) {
    return static_cast<double>(random_() >> 11) * 0x1.0p-53 < probability;
  }
  std::mt19937_64& random() { return random_; }

  // PENSTOCK_TEST_TRACE shows what happens, for a seed that fails.
  bool traces() const { return traces_; }
  void Trace(const std::string& line) const {
    if (traces_) std::cout << now_ms_ << " " << line << "\n";
  }

 private:
  struct Event {
    int64_t at_ms;
    uint64_t order;
    std::function<void()> what;
    bool operator>(const Event& other) const {
      return std::tie(at_ms, order) > std::tie(other.at_ms, other.order);
    }
  };
  absl::Duration passed() const { return absl::Milliseconds(now_ms_); }

  std::mt19937_64 random_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  int64_t now_ms_ = 0;
  int64_t done_ = 0;
  uint64_t made_ = 0;
  uint64_t digest_ = 0;
  const bool traces_ = std::getenv("PENSTOCK_TEST_TRACE") != nullptr;
};

}  // namespace penstock::simulation
