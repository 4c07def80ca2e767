// How the reclaimer has chunkservers drop or cut the chunks of a content. Thread-safe.
// Orders live in memory only: the caller keeps its own persistent queue and asks again after a
// restart (orders are safe to repeat). Order only what a synced log entry says.
#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>

#include <cstdint>

#include "proto/types.pb.h"

namespace penstock::metaserver {

class ContentDeleter {
 public:
  // Called once, on another thread and with no lock held, when every server concerned has
  // acknowledged. Never called when the metaserver stops first.
  using Done = absl::AnyInvocable<void() &&>;

  virtual ~ContentDeleter() = default;
  // RESOURCE_EXHAUSTED: too many orders are under way; ask again later.
  virtual absl::Status DeleteContent(const wire::Layout& layout, uint64_t chunk_count,
                                     Done done) = 0;
  struct Cut {
    wire::Layout layout;
    uint64_t old_size = 0;
    uint64_t new_size = 0;
  };
  virtual absl::Status TruncateContent(const Cut& cut, Done done) = 0;
};

}  // namespace penstock::metaserver
