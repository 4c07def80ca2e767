// A byte range of a file as ranges of its chunks.
#pragma once

#include <absl/types/span.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace penstock::client {

struct ChunkPiece {
  uint32_t index = 0;
  uint32_t offset = 0;  // in the chunk
  uint32_t length = 0;
  uint64_t at = 0;  // of its first byte in the range that was split
};

inline std::vector<ChunkPiece> SplitByChunk(uint64_t chunk_size_bytes, uint64_t offset,
                                            uint64_t length) {
  std::vector<ChunkPiece> pieces;
  for (uint64_t done = 0; done < length;) {
    const uint64_t at = offset + done;
    const uint64_t in_chunk = at % chunk_size_bytes;
    const uint64_t n = std::min(length - done, chunk_size_bytes - in_chunk);
    pieces.push_back({static_cast<uint32_t>(at / chunk_size_bytes), static_cast<uint32_t>(in_chunk),
                      static_cast<uint32_t>(n), done});
    done += n;
  }
  return pieces;
}

}  // namespace penstock::client
