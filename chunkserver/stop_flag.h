// StopFlag ends waits of threads. Thread-safe, sticky.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

namespace penstock::chunkserver {

class StopFlag {
 public:
  void Set() {
    absl::MutexLock lock(&mu_);
    set_ = true;
  }
  bool is_set() const {
    absl::MutexLock lock(&mu_);
    return set_;
  }
  // True when it was set meanwhile.
  bool Wait(absl::Duration timeout) const {
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(&set_), timeout);
  }

 private:
  mutable absl::Mutex mu_;
  bool set_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace penstock::chunkserver
