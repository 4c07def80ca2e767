#include "client/fuse/interrupt_grace.h"

#include <absl/time/clock.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <semaphore>
#include <thread>

namespace penstock::client {
namespace {

// A thread with `signal` pending, as one that waits for an answer.
class ThreadWithSignal {
 public:
  explicit ThreadWithSignal(int signal) {
    thread_ = std::thread([this, signal] {
      sigset_t set;
      sigfillset(&set);
      pthread_sigmask(SIG_BLOCK, &set, nullptr);
      pthread_kill(pthread_self(), signal);
      id_ = static_cast<uint64_t>(gettid());
      ready_.release();
      end_.acquire();
      timespec none = {};
      sigtimedwait(&set, nullptr, &none);
    });
    ready_.acquire();
  }
  ~ThreadWithSignal() {
    end_.release();
    thread_.join();
  }
  uint64_t id() const { return id_; }

 private:
  uint64_t id_ = 0;
  std::binary_semaphore ready_{0};
  std::binary_semaphore end_{0};
  std::thread thread_;
};

bool FiresWithin(const net::Interrupt& interrupt, absl::Duration time) {
  const absl::Time until = absl::Now() + time;
  while (!interrupt.fired() && absl::Now() < until) absl::SleepFor(absl::Milliseconds(5));
  return interrupt.fired();
}

TEST_CASE("a timer's signal never ends a request", "[client][interrupt_grace]") {
  InterruptGrace grace(absl::ZeroDuration());
  grace.Start();
  ThreadWithSignal timer(SIGALRM);
  net::Interrupt interrupt;
  grace.Interrupted(timer.id(), &interrupt);
  REQUIRE_FALSE(FiresWithin(interrupt, absl::Milliseconds(250)));
  grace.Forget(&interrupt);
}

TEST_CASE("a handled SIGINT ends a request after the grace", "[client][interrupt_grace]") {
  InterruptGrace grace(absl::Milliseconds(50));
  grace.Start();
  ThreadWithSignal stopped(SIGINT);
  net::Interrupt interrupt;
  grace.Interrupted(stopped.id(), &interrupt);
  REQUIRE_FALSE(interrupt.fired());
  REQUIRE(FiresWithin(interrupt, absl::Seconds(10)));
}

TEST_CASE("a request that is over is left alone", "[client][interrupt_grace]") {
  InterruptGrace grace(absl::Milliseconds(30));
  grace.Start();
  ThreadWithSignal stopped(SIGTERM);
  net::Interrupt interrupt;
  grace.Interrupted(stopped.id(), &interrupt);
  grace.Forget(&interrupt);
  REQUIRE_FALSE(FiresWithin(interrupt, absl::Milliseconds(250)));
}

}  // namespace
}  // namespace penstock::client
