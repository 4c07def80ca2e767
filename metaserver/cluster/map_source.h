// Where the metaserver's services get the cluster map from. Thread-safe.
#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/time/time.h>

#include <cstdint>

#include "proto/types.pb.h"

namespace penstock::metaserver {

class MapSource {
 public:
  virtual ~MapSource() = default;
  virtual uint64_t map_version() const = 0;

  // What changed after `known_version`: a delta (since = known_version, possibly empty), or the
  // whole map (since = 0) when `known_version` is 0 or newer than the map itself.
  virtual wire::ClusterMap MapSince(uint64_t known_version) const = 0;

  // Calls `done` exactly once: at once (on this thread) when the map is newer than
  // `known_version`, else on another thread when it becomes so or after `wait` with an empty
  // change. Waiting costs no thread. Also called, with what there is, when the source stops.
  using MapCallback = absl::AnyInvocable<void(wire::ClusterMap) &&>;
  virtual void WatchMap(uint64_t known_version, absl::Duration wait, MapCallback done) = 0;
};

}  // namespace penstock::metaserver
