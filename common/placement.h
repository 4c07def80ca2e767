// Where a chunk lies, computed and never looked up (DESIGN.md section 5). The hash is fixed:
// docs/formats/placement.md has it with test vectors.
#pragma once

#include <cstdint>

#include "common/ids.h"

namespace penstock {

// A file's layout, as every client and chunkserver understands it.
struct FileLayout {
  ContentId content;
  uint32_t seed = 0;
  uint8_t chunk_size_log2 = 22;  // 4 MiB
  uint32_t storage_class = 1;
  uint64_t chunk_size_bytes() const { return uint64_t{1} << chunk_size_log2; }
};

// splitmix64's finalizer of the seed, upper 32 bits.
uint32_t MixSeed(uint32_t seed);
inline uint32_t ChunkPosition(uint32_t seed, uint32_t index) { return MixSeed(seed) + index; }
// `group_count` is a power of two.
inline uint32_t GroupOfPosition(uint32_t position, uint32_t group_count) {
  return position & (group_count - 1);
}
inline ChunkKey ChunkKeyOf(const FileLayout& layout, uint32_t index) {
  return ChunkKey{ChunkPosition(layout.seed, index), layout.content, index};
}
uint32_t ReverseBits(uint32_t value);

}  // namespace penstock
