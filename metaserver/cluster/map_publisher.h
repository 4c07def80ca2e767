// MapPublisher holds the cluster map as it was last made durable, gives everybody the whole of it
// or what changed since a version, and wakes those that wait. Thread-safe. It decides nothing:
// ClusterState publishes only what is already on disk.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/synchronization/mutex.h>

#include <list>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "metaserver/service/map_source.h"

namespace penstock::metaserver {

// What one map version changed.
struct MapChange {
  uint64_t version = 0;
  std::vector<wire::MapServer> servers;
  std::vector<wire::MapTarget> targets;
  std::vector<wire::MapStorageClass> classes;
  std::vector<wire::MapGroup> groups;
  bool empty() const {
    return servers.empty() && targets.empty() && classes.empty() && groups.empty();
  }
};

class MapPublisher : public MapSource {
 public:
  using Answer = absl::AnyInvocable<void(wire::ClusterMap) &&>;
  // `clock` must outlive it. Start() begins waking those that wait.
  MapPublisher(std::string cluster_id, Clock* clock);
  ~MapPublisher() override;
  void Start();
  void Stop();  // answers all that wait

  // Versions must grow; a change of an older version (at the start, from records) is taken into the
  // map without moving its version back.
  void Publish(const MapChange& change);

  uint64_t version() const override;
  void GetMap(uint64_t known_version, absl::Duration wait, Answer answer) override;
  // What changed after `known_version`: a change (since = known_version, possibly empty), or the
  // whole map (since = 0) when that is 0 or newer than the map itself.
  wire::ClusterMap MapSince(uint64_t known_version) const;
  size_t waiting() const;

 private:
  enum class Kind { kServer, kTarget, kClass, kGroup };
  struct Waiter {
    uint64_t known_version;
    absl::Duration until;  // of the clock's SinceBoot
    Answer answer;
  };
  using GroupKey = std::pair<uint32_t, uint32_t>;
  template <typename T>
  struct Versioned {
    T value;
    uint64_t changed = 0;
  };

  void Run();
  wire::ClusterMap MapSinceLocked(uint64_t known_version) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  template <typename Map, typename Key, typename T>
  void Take(Map& map, Kind kind, const Key& key, const T& value, uint64_t version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string cluster_id_;
  Clock* const clock_;      // not owned
  mutable absl::Mutex mu_;  // never held over a callback
  uint64_t version_ ABSL_GUARDED_BY(mu_) = 0;
  absl::btree_map<uint32_t, Versioned<wire::MapServer>> servers_ ABSL_GUARDED_BY(mu_);
  absl::btree_map<uint32_t, Versioned<wire::MapTarget>> targets_ ABSL_GUARDED_BY(mu_);
  absl::btree_map<uint32_t, Versioned<wire::MapStorageClass>> classes_ ABSL_GUARDED_BY(mu_);
  absl::btree_map<GroupKey, Versioned<wire::MapGroup>> groups_ ABSL_GUARDED_BY(mu_);
  // (version of the last change, kind, key): what a delta has to carry.
  std::set<std::tuple<uint64_t, Kind, GroupKey>> changes_ ABSL_GUARDED_BY(mu_);
  std::list<Waiter> waiters_ ABSL_GUARDED_BY(mu_);
  bool running_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool news_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace penstock::metaserver
