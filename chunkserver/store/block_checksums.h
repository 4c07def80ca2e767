// Checksums of a chunk's stored bytes: a CRC32C per 4 KiB block. The last block's covers only the
// bytes that are stored, so bytes appended behind it never disturb an older, shorter image.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace penstock::chunkserver {

// `crcs` are those of [0, stored). Extends them over `piece` behind it; returns the CRC of `piece`.
uint32_t ExtendChecksums(std::vector<uint32_t>& crcs, uint32_t stored, std::string_view piece);
// The same over `count` zero bytes, without looking at any.
void ExtendChecksumsByZeros(std::vector<uint32_t>& crcs, uint32_t stored, uint32_t count);

// Checks whole blocks (the last may be the chunk's partial last one) against `expected`, which has
// one for each. On success sets `crc` to the CRC of `before` followed by all of it.
bool CheckBlocks(std::string_view blocks, const uint32_t* expected, uint32_t before, uint32_t* crc);

}  // namespace penstock::chunkserver
