#include "metaserver/service/event_stream.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <memory>

namespace penstock::metaserver {
namespace {

// Without news an empty list is sent after this long, so that both sides notice a dead stream.
constexpr absl::Duration kWait = absl::Seconds(30);

class EventStream : public grpc::ServerWriteReactor<wire::EventList> {
 public:
  EventStream(EventLog* events, uint64_t after)
      : events_(events), after_(after), link_(std::make_shared<Link>()) {
    absl::MutexLock lock(&link_->mu);
    link_->stream = this;
  }

  // Calls of this stream never overlap: the next question follows the last write.
  void Ask() {
    events_->Await(after_, kWait, [link = link_](wire::EventList list) {
      absl::MutexLock lock(&link->mu);
      if (link->stream == nullptr || link->finished) return;
      if (list.last() != 0) link->stream->after_ = list.last();
      link->stream->writing_ = std::move(list);
      // Under the lock, so that the stream cannot end in between; gRPC calls back on another
      // thread.
      link->stream->StartWrite(&link->stream->writing_);
    });
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      Ask();
    } else {
      FinishOnce(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream of events broke"));
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
    EventStream* stream ABSL_GUARDED_BY(mu) = nullptr;
    bool finished ABSL_GUARDED_BY(mu) = false;
  };

  void FinishOnce(const grpc::Status& status) {
    {
      absl::MutexLock lock(&link_->mu);
      if (link_->finished) return;
      link_->finished = true;
    }
    Finish(status);
  }

  EventLog* const events_;
  uint64_t after_;
  wire::EventList writing_;
  const std::shared_ptr<Link> link_;
};

}  // namespace

grpc::ServerWriteReactor<wire::EventList>* NewEventStream(
    EventLog* events, const wire::FollowEventsRequest& request) {
  auto* stream = new EventStream(events, request.after());
  stream->Ask();
  return stream;
}

}  // namespace penstock::metaserver
