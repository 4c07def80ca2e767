#include "metaserver/cluster/map_publisher.h"

#include <pthread.h>

#include <algorithm>

namespace penstock::metaserver {
namespace {

constexpr absl::Duration kLookForExpired = absl::Milliseconds(100);

}  // namespace

MapPublisher::MapPublisher(std::string cluster_id, Clock* clock)
    : cluster_id_(std::move(cluster_id)), clock_(clock) {}

MapPublisher::~MapPublisher() { Stop(); }

void MapPublisher::Start() {
  absl::MutexLock lock(&mu_);
  if (running_ || stopping_) return;
  running_ = true;
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "map-watch");
    Run();
  });
}

void MapPublisher::Stop() {
  std::list<Waiter> rest;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  {
    absl::MutexLock lock(&mu_);
    rest.swap(waiters_);
  }
  for (Waiter& waiter : rest) std::move(waiter.answer)(MapSince(waiter.known_version));
}

template <typename Map, typename Key, typename T>
void MapPublisher::Take(Map& map, Kind kind, const Key& key, const T& value, uint64_t version) {
  auto& slot = map[key];
  GroupKey id;
  if constexpr (std::is_same_v<Key, GroupKey>) {
    id = key;
  } else {
    id = {key, 0};
  }
  changes_.erase({slot.changed, kind, id});
  slot.value = value;
  slot.changed = version;
  changes_.insert({version, kind, id});
}

void MapPublisher::Publish(const MapChange& change) {
  absl::MutexLock lock(&mu_);
  for (const auto& s : change.servers) {
    Take(servers_, Kind::kServer, s.server_id(), s, change.version);
  }
  for (const auto& t : change.targets) {
    Take(targets_, Kind::kTarget, t.target_id(), t, change.version);
  }
  for (const auto& c : change.classes) {
    Take(classes_, Kind::kClass, c.storage_class(), c, change.version);
  }
  for (const auto& g : change.groups) {
    Take(groups_, Kind::kGroup, GroupKey(g.storage_class(), g.number()), g, change.version);
  }
  version_ = std::max(version_, change.version);
  news_ = true;
}

uint64_t MapPublisher::version() const {
  absl::ReaderMutexLock lock(&mu_);
  return version_;
}

wire::ClusterMap MapPublisher::MapSince(uint64_t known_version) const {
  absl::ReaderMutexLock lock(&mu_);
  return MapSinceLocked(known_version);
}

wire::ClusterMap MapPublisher::MapSinceLocked(uint64_t known_version) const {
  wire::ClusterMap map;
  map.set_version(version_);
  map.set_cluster_id(cluster_id_);
  // A map from the future belongs to another life of the cluster: start over.
  const uint64_t since = known_version > version_ ? 0 : known_version;
  map.set_since(since);
  auto first = changes_.upper_bound({since, Kind::kGroup, GroupKey(UINT32_MAX, UINT32_MAX)});
  for (auto it = first; it != changes_.end(); ++it) {
    const auto& [version, kind, key] = *it;
    switch (kind) {
      case Kind::kServer:
        *map.add_servers() = servers_.at(key.first).value;
        break;
      case Kind::kTarget:
        *map.add_targets() = targets_.at(key.first).value;
        break;
      case Kind::kClass:
        *map.add_classes() = classes_.at(key.first).value;
        break;
      case Kind::kGroup:
        *map.add_groups() = groups_.at(key).value;
        break;
    }
  }
  return map;
}

void MapPublisher::GetMap(uint64_t known_version, absl::Duration wait, Answer answer) {
  {
    absl::MutexLock lock(&mu_);
    if (version_ == known_version && !stopping_) {
      waiters_.push_back({known_version, clock_->SinceBoot() + wait, std::move(answer)});
      return;
    }
  }
  std::move(answer)(MapSince(known_version));
}

size_t MapPublisher::waiting() const {
  absl::ReaderMutexLock lock(&mu_);
  return waiters_.size();
}

void MapPublisher::Run() {
  for (;;) {
    std::list<Waiter> ready;
    {
      absl::MutexLock lock(&mu_);
      auto wake = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return stopping_ || news_; };
      mu_.AwaitWithTimeout(absl::Condition(&wake), kLookForExpired);
      if (stopping_) return;
      news_ = false;
      const absl::Duration now = clock_->SinceBoot();
      for (auto it = waiters_.begin(); it != waiters_.end();) {
        auto next = std::next(it);
        if (it->known_version != version_ || it->until <= now) {
          ready.splice(ready.end(), waiters_, it);
        }
        it = next;
      }
    }
    // Those that know the same version get the same bytes: built once.
    ready.sort([](const Waiter& a, const Waiter& b) { return a.known_version < b.known_version; });
    std::optional<uint64_t> built;
    wire::ClusterMap map;
    for (Waiter& waiter : ready) {
      if (built != waiter.known_version) {
        map = MapSince(waiter.known_version);
        built = waiter.known_version;
      }
      std::move(waiter.answer)(map);
    }
  }
}

}  // namespace penstock::metaserver
