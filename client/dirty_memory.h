// DirtyMemory bounds the bytes that were written but are not on the servers yet, over all files.
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "client/wait.h"
#include "common/status.h"

namespace penstock::client {

class DirtyMemory {
 public:
  explicit DirtyMemory(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // Waits until `bytes` fit (a request larger than the limit: until nothing else is held).
  absl::Status Reserve(uint64_t bytes, absl::Duration timeout, const OpContext& op) {
    absl::MutexLock lock(&mu_);
    auto fits = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return used_ + bytes <= limit_bytes_ || used_ == 0;
    };
    RETURN_IF_ERROR(WaitUntil(&mu_, fits, timeout, op));
    used_ += bytes;
    return absl::OkStatus();
  }
  bool TryReserve(uint64_t bytes) {
    absl::MutexLock lock(&mu_);
    if (used_ + bytes > limit_bytes_ && used_ != 0) return false;
    used_ += bytes;
    return true;
  }
  void Force(uint64_t bytes) {
    absl::MutexLock lock(&mu_);
    used_ += bytes;
  }
  void Release(uint64_t bytes) {
    absl::MutexLock lock(&mu_);
    INVARIANT(bytes <= used_);
    used_ -= bytes;
  }
  uint64_t used() const {
    absl::MutexLock lock(&mu_);
    return used_;
  }
  uint64_t limit() const { return limit_bytes_; }

 private:
  const uint64_t limit_bytes_;
  mutable absl::Mutex mu_;  // innermost
  uint64_t used_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace penstock::client
