// A slot is a piece of a slab file that holds one chunk. All slots of a slab have one size.
#pragma once

#include <absl/types/span.h>

#include <cstdint>
#include <utility>

#include "common/units.h"

namespace penstock::chunkserver {

// Stored bytes are checksummed in blocks of this size; slot sizes are multiples of it.
inline constexpr uint32_t kBlockBytes = 4 * kKiB;

inline uint32_t BlocksOf(uint32_t length) {
  return static_cast<uint32_t>((uint64_t{length} + kBlockBytes - 1) / kBlockBytes);
}
inline uint32_t BlockStart(uint32_t offset) { return offset / kBlockBytes * kBlockBytes; }

struct Slot {
  uint32_t slab = 0;
  uint32_t index = 0;  // within the slab
  uint32_t bytes = 0;  // its size class; 0: no slot
  bool valid() const { return bytes != 0; }
  uint64_t offset() const { return uint64_t{index} * bytes; }
  friend auto operator<=>(const Slot&, const Slot&) = default;
};

// The smallest slot size that holds `length` > 0 bytes: 4, 8, 12, 16 KiB, then four sizes per
// doubling (20, 24, 28, 32, 40, 48, ...), so that waste stays under 20 % above 16 KiB.
uint32_t SlotBytesFor(uint32_t length);

}  // namespace penstock::chunkserver
