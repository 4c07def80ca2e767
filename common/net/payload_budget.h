// PayloadBudget bounds the memory that request payloads of all connections hold at once. Whoever
// does not fit waits in line, and is called when room was made for it. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/functional/any_invocable.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <deque>

namespace penstock::net {

class PayloadBudget {
 public:
  explicit PayloadBudget(uint64_t total_bytes) : free_bytes_(total_bytes) {}

  // True: `bytes` are the caller's until Release. False: `granted` runs once they are, on the
  // thread that released some; it must not wait. First come, first served.
  bool Reserve(uint64_t bytes, absl::AnyInvocable<void() &&> granted);
  void Release(uint64_t bytes);
  uint64_t free_bytes() const;

 private:
  struct Waiter {
    uint64_t bytes;
    absl::AnyInvocable<void() &&> granted;
  };
  mutable absl::Mutex mu_;  // not held while `granted` runs
  uint64_t free_bytes_ ABSL_GUARDED_BY(mu_);
  std::deque<Waiter> waiters_ ABSL_GUARDED_BY(mu_);  // at most one a connection
};

}  // namespace penstock::net
