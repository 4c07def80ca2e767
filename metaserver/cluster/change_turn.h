// ChangeTurn lets one thread at a time change durable cluster state, without a lock being held over
// the disk: readers and heartbeats take only the state's own mutex. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

namespace penstock::metaserver {

class ChangeTurn {
 public:
  // Holds the turn while it lives.
  class Hold {
   public:
    explicit Hold(ChangeTurn* turn) : turn_(turn) {
      absl::MutexLock lock(&turn_->mu_);
      turn_->mu_.Await(absl::Condition(
          +[](bool* taken) { return !*taken; }, &turn_->taken_));
      turn_->taken_ = true;
    }
    ~Hold() {
      absl::MutexLock lock(&turn_->mu_);
      turn_->taken_ = false;
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    ChangeTurn* const turn_;
  };

 private:
  absl::Mutex mu_;
  bool taken_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace penstock::metaserver
