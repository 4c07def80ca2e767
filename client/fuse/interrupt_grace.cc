#include "client/fuse/interrupt_grace.h"

#include <absl/time/clock.h>
#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

namespace penstock::client {

// The kernel gives SIGKILL to every thread of a process that a signal ends.
bool FatalSignalPending(uint64_t thread) {
  std::ifstream status("/proc/" + std::to_string(thread) + "/status");
  const uint64_t kill_bit = uint64_t{1} << (SIGKILL - 1);
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("SigPnd:", 0) != 0 && line.rfind("ShdPnd:", 0) != 0) continue;
    if (std::strtoull(line.c_str() + 7, nullptr, 16) & kill_bit) return true;
  }
  return false;
}

void InterruptGrace::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "interrupts");
    Run();
  });
}

void InterruptGrace::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void InterruptGrace::Interrupted(uint64_t thread, net::Interrupt* interrupt) {
  if (FatalSignalPending(thread)) {
    interrupt->Fire();
    return;
  }
  absl::MutexLock lock(&mu_);
  waiting_.emplace(interrupt, absl::Now() + grace_);
}

void InterruptGrace::Forget(net::Interrupt* interrupt) {
  absl::MutexLock lock(&mu_);
  waiting_.erase(interrupt);
}

void InterruptGrace::Run() {
  absl::MutexLock lock(&mu_);
  auto has_work = [this]()
                      ABSL_NO_THREAD_SAFETY_ANALYSIS { return stopping_ || !waiting_.empty(); };
  while (true) {
    mu_.Await(absl::Condition(&has_work));
    if (stopping_) return;
    // Few requests wait here at any time, and a tenth of a second more does not matter.
    const absl::Time now = absl::Now();
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      if (it->second > now) {
        ++it;
        continue;
      }
      it->first->Fire();
      it = waiting_.erase(it);
    }
    mu_.AwaitWithTimeout(absl::Condition(&stopping_), absl::Milliseconds(100));
    if (stopping_) return;
  }
}

}  // namespace penstock::client
