// WorkerPool runs posted functions on named threads from a bounded queue. Thread-safe.
#pragma once

#include <absl/functional/any_invocable.h>

#include <deque>
#include <string>
#include <thread>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

namespace penstock {

struct WorkerPoolOptions {
  std::string name;  // of the threads, at most 12 bytes
  int threads = 4;
  size_t queue_limit = 10000;
};

class WorkerPool {
 public:
  explicit WorkerPool(WorkerPoolOptions options);
  ~WorkerPool();  // Stop()
  void Start();
  // False when the queue is full or the pool stopped; `work` is then destroyed unrun.
  [[nodiscard]] bool Post(absl::AnyInvocable<void() &&> work);
  // Runs what is queued, then joins. Safe to repeat.
  void Stop();
  size_t queued() const;

 private:
  void Run();

  const WorkerPoolOptions options_;
  mutable absl::Mutex mu_;
  std::deque<absl::AnyInvocable<void() &&>> queue_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace penstock
