#include "chunkserver/control/map_watch.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/logging.h"

namespace penstock::chunkserver {
namespace {
constexpr absl::Duration kFirstPause = absl::Milliseconds(200);
constexpr absl::Duration kLongestPause = absl::Seconds(2);
}  // namespace

void MapWatch::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "map-watch");
    Run();
  });
}

void MapWatch::Stop() {
  stop_.Set();
  calls_.CancelAll();
  if (thread_.joinable()) thread_.join();
}

bool MapWatch::Follow() {
  StoppableCalls::Call call(&calls_);
  wire::WatchMapRequest request;
  request.set_known_version(whole_ ? 0 : map_->Get()->version());
  auto stream = stub_->WatchMap(call.context(), request);
  wire::ClusterMap update;
  bool any = false;
  while (stream->Read(&update)) {
    const absl::Status status = map_->Apply(update);
    if (!status.ok()) {
      SPDLOG_WARN("cluster map update refused error={}", Quoted(status.ToString()));
      whole_ = true;
      call.context()->TryCancel();
      break;
    }
    whole_ = false;
    if (!any) SPDLOG_INFO("cluster map followed version={}", map_->Get()->version());
    any = true;
  }
  stream->Finish();
  return any;
}

void MapWatch::Run() {
  absl::Duration pause = kFirstPause;
  while (!stop_.is_set()) {
    pause = Follow() ? kFirstPause : std::min(pause * 2, kLongestPause);
    stop_.Wait(pause);
  }
}

}  // namespace penstock::chunkserver
