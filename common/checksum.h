// CRC32C (Castagnoli; RFC 3720 appendix B.4). Crc32c("123456789") == 0xE3069283.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock {

// Checksum of `data` appended to data whose checksum is `before` (0 for none).
uint32_t Crc32c(std::string_view data, uint32_t before = 0);
// Checksum of A|B from those of A and B and the length of B. O(log length); lengths of one block
// size repeat, so the operator of a length is cached by Crc32cCombiner.
uint32_t Crc32cCombine(uint32_t crc_a, uint32_t crc_b, size_t length_b);

// Combines many blocks of one fixed length cheaply (four table look-ups a block). Immutable.
class Crc32cCombiner {
 public:
  explicit Crc32cCombiner(size_t block_length);
  uint32_t Append(uint32_t crc, uint32_t block_crc) const;
  size_t block_length() const { return block_length_; }

 private:
  size_t block_length_;
  uint32_t table_[4][256];
};

}  // namespace penstock
