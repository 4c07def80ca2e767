// KernelCache is what the kernel remembers of this mount beside the client: names, attributes,
// pages, and the system calls under way. The FUSE session implements it; without a mount (tests)
// nothing is remembered. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/ids.h"

namespace penstock::client {

struct RenameCall {
  std::string from, to;  // the last parts of its paths
  bool no_replace = false;
};

class KernelCache {
 public:
  virtual ~KernelCache() = default;
  virtual void DropNames() = 0;                      // all of the mount's; waits for nothing
  virtual void DropAttributes(InodeNumber ino) = 0;  // waits for nothing
  // Pages from `offset` on, `length` bytes (0: to the end), and attributes. Waits for reads and
  // writes of those pages that are under way.
  virtual void DropPages(InodeNumber ino, uint64_t offset, uint64_t length) = 0;
  // When `thread`, whose lookup is being answered, is in rename(2) or one of its kin.
  virtual std::optional<RenameCall> RenameOf(uint64_t thread) = 0;
};

}  // namespace penstock::client
