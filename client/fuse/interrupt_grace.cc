#include "client/fuse/interrupt_grace.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>
#include <pthread.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace penstock::client {

namespace {
constexpr absl::Duration kLook = absl::Milliseconds(100);
constexpr absl::Duration kLookAtWatched = absl::Seconds(1);  // most are over long before
constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }
}  // namespace

// A thread that waits for us keeps its signals pending. The kernel gives SIGKILL to every thread of
// a process that any signal ends.
PendingSignal PendingSignalOf(uint64_t thread) {
  std::ifstream status("/proc/" + std::to_string(thread) + "/status");
  if (!status) return PendingSignal::kStop;
  uint64_t pending = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("SigPnd:", 0) != 0 && line.rfind("ShdPnd:", 0) != 0) continue;
    pending |= std::strtoull(line.c_str() + 7, nullptr, 16);
  }
  if (pending & Bit(SIGKILL)) return PendingSignal::kFatal;
  const uint64_t stop = Bit(SIGINT) | Bit(SIGTERM) | Bit(SIGHUP) | Bit(SIGQUIT);
  return pending & stop ? PendingSignal::kStop : PendingSignal::kNone;
}

// Fields of /proc/THREAD/stat, proc(5): 9 is flags, 52 is exit_code (of a thread that may be looked
// at). The name before them may hold anything, and ends with the last parenthesis.
bool EndedBySignal(uint64_t thread) {
  constexpr size_t kFlags = 9 - 3;
  constexpr size_t kExitCode = 52 - 3;
  constexpr uint64_t kExiting = 0x4;  // PF_EXITING
  std::ifstream file("/proc/" + std::to_string(thread) + "/stat");
  std::string text;
  std::getline(file, text, '\0');
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return false;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(text).substr(name_end + 1), ' ', absl::SkipWhitespace());
  uint64_t flags = 0;
  int exit_code = 0;
  return fields.size() > kExitCode && absl::SimpleAtoi(fields[kFlags], &flags) &&
         absl::SimpleAtoi(fields[kExitCode], &exit_code) && (flags & kExiting) != 0 &&
         WIFSIGNALED(exit_code);
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
  if (PendingSignalOf(thread) == PendingSignal::kFatal) {
    interrupt->Fire();
    return;
  }
  absl::MutexLock lock(&mu_);
  waiting_[interrupt] = {thread, absl::Now() + grace_};
}

void InterruptGrace::Watch(uint64_t thread, net::Interrupt* interrupt) {
  absl::MutexLock lock(&mu_);
  watched_[interrupt] = {thread, absl::Now() + grace_};
}

void InterruptGrace::Forget(net::Interrupt* interrupt) {
  absl::MutexLock lock(&mu_);
  watched_.erase(interrupt);
  waiting_.erase(interrupt);
}

void InterruptGrace::Run() {
  absl::MutexLock lock(&mu_);
  auto has_work = [this]()
                      ABSL_NO_THREAD_SAFETY_ANALYSIS { return stopping_ || !waiting_.empty(); };
  while (true) {
    mu_.AwaitWithTimeout(absl::Condition(&has_work), kLookAtWatched);
    if (stopping_) return;
    LookAtWatched();
    if (waiting_.empty()) continue;
    LookAtInterrupted();
    mu_.AwaitWithTimeout(absl::Condition(&stopping_), kLook);
    if (stopping_) return;
  }
}

void InterruptGrace::LookAtInterrupted() {
  // Few requests are here at any time: those that met both a signal and a server that is away.
  const absl::Time now = absl::Now();
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const PendingSignal signal = PendingSignalOf(it->second.thread);
    const bool stop = signal == PendingSignal::kStop && now >= it->second.grace_ends;
    if (signal != PendingSignal::kFatal && !stop) {
      ++it;
      continue;
    }
    it->first->Fire();
    it = waiting_.erase(it);
  }
}

void InterruptGrace::LookAtWatched() {
  const absl::Time now = absl::Now();
  for (auto it = watched_.begin(); it != watched_.end();) {
    const uint64_t thread = it->second.thread;
    const bool killed = now >= it->second.grace_ends &&
                        (EndedBySignal(thread) || PendingSignalOf(thread) == PendingSignal::kFatal);
    if (!killed) {
      ++it;
      continue;
    }
    it->first->Fire();
    it = watched_.erase(it);
  }
}

}  // namespace penstock::client
