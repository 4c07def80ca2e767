#include "metaserver/service/map_stream.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <memory>

namespace penstock::metaserver {
namespace {

// Without news an empty change is sent after this long, so that both sides notice a dead stream.
constexpr absl::Duration kWait = absl::Seconds(30);

class MapStream : public grpc::ServerWriteReactor<wire::ClusterMap> {
 public:
  MapStream(MapSource* map, uint64_t known_version)
      : map_(map), known_version_(known_version), link_(std::make_shared<Link>()) {
    absl::MutexLock lock(&link_->mu);
    link_->stream = this;
  }

  // Calls of this stream never overlap: the next question follows the last write.
  void Ask() {
    map_->GetMap(known_version_, kWait, [link = link_](wire::ClusterMap map) {
      absl::MutexLock lock(&link->mu);
      if (link->stream == nullptr || link->finished) return;
      link->stream->known_version_ = map.version();
      link->stream->writing_ = std::move(map);
      // Under the lock, so that the stream cannot end in between; gRPC calls back on another
      // thread.
      link->stream->StartWrite(&link->stream->writing_);
    });
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      Ask();
    } else {
      FinishOnce(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the map stream broke"));
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
    MapStream* stream ABSL_GUARDED_BY(mu) = nullptr;
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

  MapSource* const map_;
  uint64_t known_version_;
  wire::ClusterMap writing_;
  const std::shared_ptr<Link> link_;
};

}  // namespace

grpc::ServerWriteReactor<wire::ClusterMap>* NewMapStream(MapSource* map,
                                                         const wire::WatchMapRequest& request) {
  auto* stream = new MapStream(map, request.known_version());
  stream->Ask();
  return stream;
}

}  // namespace penstock::metaserver
