#include "client/fuse/mount_signals.h"

#include <absl/time/clock.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdlib>

#include "client/fuse/mount.h"

namespace penstock::client {
namespace {

constexpr absl::Duration kOpenFilesGrace = absl::Seconds(3);  // after SIGTERM
constexpr absl::Duration kRequestsGrace = absl::Seconds(10);  // after SIGUSR1
constexpr absl::Duration kSignalPoll = absl::Milliseconds(200);

}  // namespace

sigset_t MountSignalSet() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, signal);
  return set;
}

void BlockMountSignals() {
  const sigset_t set = MountSignalSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void MountSignals::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "signals");
    Run();
  });
}

void MountSignals::Stop() {
  ended_ = true;
  if (thread_.joinable()) thread_.join();
}

void MountSignals::Run() {
  const sigset_t set = MountSignalSet();
  const timespec poll = absl::ToTimespec(kSignalPoll);
  int signal = -1;
  while (!ended_ && signal < 0) signal = sigtimedwait(&set, nullptr, &poll);
  if (ended_) return;
  SPDLOG_INFO("stopping signal={}", signal);
  if (signal == SIGUSR1) return MakeWay();
  Unmount();
}

// The mountpoint goes first, so that nobody opens more; then what is written goes out; then files
// that are still open are given up.
void MountSignals::Unmount() {
  kernel_->Detach();
  flush_();
  const absl::Time until = absl::Now() + kOpenFilesGrace;
  while (!ended_ && absl::Now() < until) absl::SleepFor(absl::Milliseconds(20));
  while (!ended_) {
    kernel_->End();
    absl::SleepFor(absl::Milliseconds(100));
  }
}

// Most is flushed while requests are still served. A request that waits longer than the grace is
// left to the next client, as after a crash.
void MountSignals::MakeWay() {
  flush_();
  restart_ = true;
  const absl::Time until = absl::Now() + kRequestsGrace;
  while (!ended_ && absl::Now() < until) {
    kernel_->End();
    absl::SleepFor(absl::Milliseconds(20));
  }
  if (ended_) return;
  flush_();
  SPDLOG_WARN("requests are left to the next client");
  std::_Exit(kExitRestart);
}

}  // namespace penstock::client
