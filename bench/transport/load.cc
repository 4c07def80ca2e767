#include "bench/transport/load.h"

#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "common/status.h"

namespace penstock::bench {
namespace {

enum Phase { kWarmUp, kCounted, kOver };

// Latencies that one thread keeps, so that a fast case does not fill the memory.
constexpr size_t kKeptPerThread = 1 << 20;

struct Thread {
  std::unique_ptr<Exchange> exchange;
  uint64_t calls = 0;
  std::vector<int64_t> took_ns;
  absl::Status status;
};

struct Progress {
  std::atomic<Phase> phase{kWarmUp};
  std::atomic<int> begun{0};  // threads whose first call has ended, well or badly
};

void Work(Thread& thread, const ExchangeSize& size, Progress& progress) {
  thread.status = thread.exchange->Call(size);  // connects
  progress.begun.fetch_add(1, std::memory_order_release);
  while (thread.status.ok() && progress.phase.load(std::memory_order_acquire) != kOver) {
    const int64_t begun = absl::GetCurrentTimeNanos();
    thread.status = thread.exchange->Call(size);
    // What ends within the time that is measured counts: as much is begun before it as after it.
    if (!thread.status.ok() || progress.phase.load(std::memory_order_acquire) != kCounted) continue;
    ++thread.calls;
    if (thread.took_ns.size() < kKeptPerThread) {
      thread.took_ns.push_back(absl::GetCurrentTimeNanos() - begun);
    }
  }
}

absl::Duration Quantile(std::vector<int64_t>& sorted, double part) {
  return absl::Nanoseconds(sorted[static_cast<size_t>(part * (sorted.size() - 1))]);
}

}  // namespace

absl::StatusOr<LoadResult> RunLoad(ExchangeClient& client, const ServerProcess& server,
                                   const LoadCase& load) {
  std::vector<Thread> work(load.in_flight);
  for (Thread& thread : work) {
    ASSIGN_OR_RETURN(thread.exchange, client.Open());
    thread.took_ns.reserve(4096);
  }
  Progress progress;
  std::vector<std::thread> threads;
  for (Thread& thread : work) {
    threads.emplace_back([&] { Work(thread, load.size, progress); });
  }
  // Every call has a deadline, so this ends.
  while (progress.begun.load(std::memory_order_acquire) < load.in_flight) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  absl::SleepFor(load.warm_up);
  LoadResult result;
  const absl::Time begun = absl::Now();
  const absl::Duration client_begun = OwnProcessorTime(), server_begun = server.processor_time();
  progress.phase = kCounted;
  absl::SleepFor(load.duration);
  progress.phase = kOver;
  result.client_processor = OwnProcessorTime() - client_begun;
  result.server_processor = server.processor_time() - server_begun;
  result.took = absl::Now() - begun;
  for (auto& thread : threads) thread.join();
  std::vector<int64_t> all;
  for (Thread& thread : work) {
    RETURN_IF_ERROR(thread.status);
    result.calls += thread.calls;
    all.insert(all.end(), thread.took_ns.begin(), thread.took_ns.end());
  }
  if (all.empty()) return absl::DeadlineExceededError("no call ended in the time measured");
  std::sort(all.begin(), all.end());
  result.median = Quantile(all, 0.5);
  result.p99 = Quantile(all, 0.99);
  return result;
}

}  // namespace penstock::bench
