// The space that statfs shows. Thread-safe.
#pragma once

#include <cstdint>

namespace penstock::metaserver {

struct ClusterSpace {
  uint64_t total_bytes = 0;  // already divided by the replication
  uint64_t free_bytes = 0;
};

class SpaceSource {
 public:
  virtual ~SpaceSource() = default;
  virtual ClusterSpace Space() const = 0;
};

}  // namespace penstock::metaserver
