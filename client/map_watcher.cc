#include "client/map_watcher.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include "client/wait.h"
#include "common/status.h"
#include "proto/meta.pb.h"

namespace penstock::client {
namespace {
constexpr absl::Duration kPoll = absl::Seconds(10);
}

void MapWatcher::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "map-watcher");
    Run();
  });
}

void MapWatcher::Stop() {
  stop_.Fire();
  if (thread_.joinable()) thread_.join();
}

void MapWatcher::Run() {
  const OpContext op{.credentials = {}, .thread = 0, .interrupt = &stop_};
  Backoff backoff(absl::Milliseconds(100), absl::Seconds(1));
  uint64_t known = 0;
  while (!stop_.fired()) {
    wire::GetClusterMapRequest request;
    request.set_known_version(known);
    request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(kPoll)));
    wire::GetClusterMapResponse response;
    absl::Status status =
        transport_->Call(wire::METHOD_GET_CLUSTER_MAP, request, &response,
                         {.timeout = kPoll + absl::Seconds(5), .interrupt = &stop_});
    if (status.ok()) status = maps_->Apply(response.map());
    if (status.ok()) {
      if (maps_->Get()->version() != known) {
        known = maps_->Get()->version();
        SPDLOG_INFO("cluster map changed version={}", known);
      }
      backoff = Backoff(absl::Milliseconds(100), absl::Seconds(1));
      continue;
    }
    if (stop_.fired()) return;
    if (absl::IsAborted(status)) known = 0;  // the change does not fit: ask for the whole map
    spdlog::debug("cluster map not read error={}", status.ToString());
    if (!SleepFor(backoff.Next(), op).ok()) return;
  }
}

}  // namespace penstock::client
