#include "metaserver/allocated.h"

#include <algorithm>

namespace penstock::metaserver {
namespace {

constexpr uint64_t kBlockBytes = 512;
constexpr uint64_t kUnitBytes = 4096;  // a file may take this much more than its size

// The most that a file of `size` bytes is said to take.
uint64_t Limit(uint64_t size) { return (size + kUnitBytes - 1) / kUnitBytes * kUnitBytes; }

}  // namespace

void AddAllocated(Inode& inode, int64_t delta) {
  if (!inode.is_regular() || inode.is_inline) {
    inode.allocated = 0;
    return;
  }
  const uint64_t old_size = inode.truncate.id != 0 ? inode.truncate.old_size : 0;
  const uint64_t limit = Limit(std::max(inode.size, old_size));
  uint64_t& allocated = inode.allocated;
  allocated = std::min(allocated, limit);
  if (delta < 0) {
    allocated -= std::min(allocated, uint64_t{0} - static_cast<uint64_t>(delta));
  } else {
    allocated += std::min(limit - allocated, static_cast<uint64_t>(delta));
  }
}

uint64_t BlocksOf(const Inode& inode) {
  if (!inode.is_regular()) return 0;
  const uint64_t bytes =
      inode.is_inline ? inode.size : std::min(inode.allocated, Limit(inode.size));
  return (bytes + kBlockBytes - 1) / kBlockBytes;
}

}  // namespace penstock::metaserver
