// StoppableCalls lets Stop() end gRPC calls that another thread waits in. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <vector>

namespace penstock::chunkserver {

class StoppableCalls {
 public:
  // A call under way; cancelled at once after CancelAll().
  class Call {
   public:
    explicit Call(StoppableCalls* calls) : calls_(calls) {
      absl::MutexLock lock(&calls_->mu_);
      if (calls_->stopped_) context_.TryCancel();
      calls_->active_.push_back(&context_);
    }
    ~Call() {
      absl::MutexLock lock(&calls_->mu_);
      auto& active = calls_->active_;
      active.erase(std::find(active.begin(), active.end(), &context_));
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    grpc::ClientContext* context() { return &context_; }

   private:
    StoppableCalls* const calls_;
    grpc::ClientContext context_;
  };

  void CancelAll() {
    absl::MutexLock lock(&mu_);
    stopped_ = true;
    for (grpc::ClientContext* context : active_) context->TryCancel();
  }

 private:
  absl::Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<grpc::ClientContext*> active_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::chunkserver
