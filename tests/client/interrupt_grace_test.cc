#include "client/fuse/interrupt_grace.h"

#include <absl/time/clock.h>
#include <sys/wait.h>
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

// A child that has ended and is not yet waited for: by `signal`, or by itself when that is 0.
class EndedChild {
 public:
  explicit EndedChild(int signal) : pid_(fork()) {
    if (pid_ == 0) {
      if (signal != 0) kill(getpid(), signal);
      _exit(1);
    }
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }
  ~EndedChild() { waitpid(pid_, nullptr, 0); }
  uint64_t id() const { return static_cast<uint64_t>(pid_); }

 private:
  const pid_t pid_;
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
  grace.Forget(&interrupt);  // it may still be firing
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

TEST_CASE("a close for a process that was killed ends after the grace",
          "[client][interrupt_grace]") {
  InterruptGrace grace(absl::Milliseconds(50));
  grace.Start();
  EndedChild killed(SIGKILL);
  REQUIRE(EndedBySignal(killed.id()));
  net::Interrupt interrupt;
  grace.Watch(killed.id(), &interrupt);
  REQUIRE_FALSE(interrupt.fired());
  REQUIRE(FiresWithin(interrupt, absl::Seconds(10)));
  grace.Forget(&interrupt);  // it may still be firing
}

TEST_CASE("a close waits for a process that lives or ended by itself",
          "[client][interrupt_grace]") {
  InterruptGrace grace(absl::ZeroDuration());
  grace.Start();
  EndedChild well(0);
  net::Interrupt ended;
  net::Interrupt lives;
  grace.Watch(well.id(), &ended);
  grace.Watch(static_cast<uint64_t>(gettid()), &lives);
  REQUIRE_FALSE(FiresWithin(ended, absl::Milliseconds(1300)));  // it looks once a second
  REQUIRE_FALSE(lives.fired());
  grace.Forget(&ended);
  grace.Forget(&lives);
  REQUIRE_FALSE(EndedBySignal(0));
}

}  // namespace
}  // namespace penstock::client
