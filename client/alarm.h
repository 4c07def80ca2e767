// Alarm fires an interrupt after a time, unless it is destroyed before.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <thread>

#include "common/net/rpc_client.h"

namespace penstock::client {

class Alarm {
 public:
  explicit Alarm(absl::Duration after)
      : thread_([this, after] {
          absl::MutexLock lock(&mu_);
          if (!mu_.AwaitWithTimeout(absl::Condition(&cancelled_), after)) interrupt_.Fire();
        }) {}
  ~Alarm() {
    {
      absl::MutexLock lock(&mu_);
      cancelled_ = true;
    }
    thread_.join();
  }
  const net::Interrupt* interrupt() const { return &interrupt_; }

 private:
  absl::Mutex mu_;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  net::Interrupt interrupt_;
  std::thread thread_;
};

}  // namespace penstock::client
