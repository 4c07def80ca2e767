// Fences: sessions whose writes every chunkserver refuses from now on. Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>

#include "common/ids.h"

namespace penstock::metaserver {

class SessionFencer {
 public:
  virtual ~SessionFencer() = default;
  // Puts the session on the list (synced before it returns) and returns the list's version. Fencing
  // a fenced session again returns the same version.
  virtual absl::StatusOr<uint64_t> Fence(SessionId session) = 0;
  virtual bool IsFenced(SessionId session) const = 0;
  // True when every live chunkserver has said that it obeys the list up to `fence_version`. A
  // server that is offline gets the list before it may serve again.
  virtual bool AllServersConfirmed(uint64_t fence_version) const = 0;
};

}  // namespace penstock::metaserver
