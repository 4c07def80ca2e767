#include "chunkserver/store/block_checksums.h"

#include <algorithm>

#include "chunkserver/store/slot.h"
#include "common/checksum.h"

namespace penstock::chunkserver {
namespace {

const Crc32cCombiner& BlockCombiner() {
  static const Crc32cCombiner combiner(kBlockBytes);
  return combiner;
}

// CRC of A|B, where B is at most a block.
uint32_t Join(uint32_t crc_a, uint32_t crc_b, size_t length_b) {
  return length_b == kBlockBytes ? BlockCombiner().Append(crc_a, crc_b)
                                 : Crc32cCombine(crc_a, crc_b, length_b);
}

uint32_t ZerosCrc(uint32_t length) {
  static const std::string zeros(kBlockBytes, '\0');
  static const uint32_t whole_block = Crc32c(zeros);
  return length == kBlockBytes ? whole_block : Crc32c(std::string_view(zeros).substr(0, length));
}

// Calls `visit(bytes)` for each part of [stored, stored + count) that lies in one block.
template <typename Visit>
void ForEachBlockPart(uint32_t stored, size_t count, Visit visit) {
  for (size_t done = 0; done < count;) {
    const size_t room = kBlockBytes - (stored + done) % kBlockBytes;
    const size_t part = std::min(room, count - done);
    visit(done, part, room == kBlockBytes);
    done += part;
  }
}

}  // namespace

uint32_t ExtendChecksums(std::vector<uint32_t>& crcs, uint32_t stored, std::string_view piece) {
  uint32_t total = 0;
  crcs.reserve(BlocksOf(stored + static_cast<uint32_t>(piece.size())));
  ForEachBlockPart(stored, piece.size(), [&](size_t at, size_t length, bool starts_block) {
    const uint32_t crc = Crc32c(piece.substr(at, length));
    total = Join(total, crc, length);
    if (starts_block) {
      crcs.push_back(crc);
    } else {
      crcs.back() = Join(crcs.back(), crc, length);
    }
  });
  return total;
}

void ExtendChecksumsByZeros(std::vector<uint32_t>& crcs, uint32_t stored, uint32_t count) {
  ForEachBlockPart(stored, count, [&](size_t, size_t length, bool starts_block) {
    const uint32_t crc = ZerosCrc(static_cast<uint32_t>(length));
    if (starts_block) {
      crcs.push_back(crc);
    } else {
      crcs.back() = Join(crcs.back(), crc, length);
    }
  });
}

bool CheckBlocks(std::string_view blocks, const uint32_t* expected, uint32_t before,
                 uint32_t* crc) {
  uint32_t total = before;
  for (size_t at = 0; at < blocks.size(); at += kBlockBytes, ++expected) {
    const std::string_view block = blocks.substr(at, kBlockBytes);
    const uint32_t found = Crc32c(block);
    if (found != *expected) return false;
    total = Join(total, found, block.size());
  }
  *crc = total;
  return true;
}

}  // namespace penstock::chunkserver
