#include "chunkserver/store/slot.h"

#include <bit>

namespace penstock::chunkserver {

uint32_t SlotBytesFor(uint32_t length) {
  uint32_t blocks = BlocksOf(length);
  if (blocks > 4) {
    const uint32_t step = std::bit_floor(blocks - 1) / 4;
    blocks = (blocks + step - 1) / step * step;
  }
  return blocks * kBlockBytes;
}

}  // namespace penstock::chunkserver
