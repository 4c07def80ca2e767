// The reactor of a stream that tells its caller what is new: asks its source for what came after
// the last thing told, waits, tells it, and asks again. A stream costs no thread while nothing
// happens.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/functional/any_invocable.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace penstock::metaserver {

// Without news an empty message is sent after this long, so that both sides notice a dead stream.
constexpr absl::Duration kStreamWait = absl::Seconds(30);

template <typename Message>
struct WatchSource {
  // Calls `answer` exactly once, at once or later and from any thread, also after `wait`.
  std::function<void(uint64_t after, absl::Duration wait,
                     absl::AnyInvocable<void(Message) &&> answer)>
      ask;
  // Where the next question begins.
  std::function<uint64_t(uint64_t after, const Message& told)> next;
};

// Made with new; gRPC owns it from the first Ask() until the stream is done.
template <typename Message>
class WatchStream : public grpc::ServerWriteReactor<Message> {
 public:
  WatchStream(WatchSource<Message> source, uint64_t after)
      : source_(std::move(source)), after_(after), link_(std::make_shared<Link>()) {
    absl::MutexLock lock(&link_->mu);
    link_->stream = this;
  }

  // Questions of one stream never overlap: the next one follows the last write.
  void Ask() {
    source_.ask(after_, kStreamWait, [link = link_](Message message) {
      absl::MutexLock lock(&link->mu);
      if (link->stream == nullptr || link->finished) return;
      link->stream->Tell(std::move(message));
    });
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      Ask();
    } else {
      FinishOnce(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream broke"));
    }
  }
  void OnCancel() override { FinishOnce(grpc::Status::CANCELLED); }
  void OnDone() override {
    {
      absl::MutexLock lock(&link_->mu);
      link_->stream = nullptr;
    }
    delete this;
  }

 private:
  // What a waiting answer holds: it may come after the stream is gone.
  struct Link {
    absl::Mutex mu;
    WatchStream* stream ABSL_GUARDED_BY(mu) = nullptr;
    bool finished ABSL_GUARDED_BY(mu) = false;
  };

  // Under the link's lock, so that the stream cannot end in between; gRPC calls back on another
  // thread.
  void Tell(Message message) {
    after_ = source_.next(after_, message);
    writing_ = std::move(message);
    this->StartWrite(&writing_);
  }

  void FinishOnce(const grpc::Status& status) {
    {
      absl::MutexLock lock(&link_->mu);
      if (link_->finished) return;
      link_->finished = true;
    }
    this->Finish(status);
  }

  const WatchSource<Message> source_;
  uint64_t after_;
  Message writing_;
  const std::shared_ptr<Link> link_;
};

}  // namespace penstock::metaserver
