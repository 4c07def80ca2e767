// The cluster's map and space, as the metadata service hands them to clients
// (metaserver/cluster implements both).
#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/time/time.h>

#include <cstdint>

#include "proto/types.pb.h"

namespace penstock::metaserver {

class MapSource {
 public:
  virtual ~MapSource() = default;
  virtual uint64_t version() const = 0;
  // Calls `answer` exactly once, at once or later and from any thread: with the change since
  // `known_version` (the whole map for 0 or a version too old) as soon as there is one, or with an
  // empty change after `wait`. Never blocks.
  virtual void GetMap(uint64_t known_version, absl::Duration wait,
                      absl::AnyInvocable<void(wire::ClusterMap) &&> answer) = 0;
};

struct ClusterSpace {
  uint64_t total_bytes = 0;  // already divided by replication
  uint64_t free_bytes = 0;
  uint64_t available_bytes = 0;
};

class SpaceSource {
 public:
  virtual ~SpaceSource() = default;
  virtual ClusterSpace Space() const = 0;  // never blocks
};

}  // namespace penstock::metaserver
