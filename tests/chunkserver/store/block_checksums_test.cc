#include "chunkserver/store/block_checksums.h"

#include <catch2/catch.hpp>

#include "chunkserver/store/slot.h"
#include "common/checksum.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {

TEST_CASE("checksums built piece by piece are those of the whole", "[chunkserver][store]") {
  std::mt19937_64 random(TestSeed("block checksums"));
  for (int round = 0; round < 50; ++round) {
    std::string all;
    std::vector<uint32_t> crcs;
    for (int piece = 0; piece < 6; ++piece) {
      const uint32_t length = random() % 10000;
      if (random() % 3 == 0) {
        ExtendChecksumsByZeros(crcs, static_cast<uint32_t>(all.size()), length);
        all.append(length, '\0');
      } else {
        const std::string bytes = RandomBytes(random, length);
        REQUIRE(ExtendChecksums(crcs, static_cast<uint32_t>(all.size()), bytes) == Crc32c(bytes));
        all += bytes;
      }
    }
    REQUIRE(crcs.size() == BlocksOf(static_cast<uint32_t>(all.size())));
    uint32_t crc = 0;
    REQUIRE(CheckBlocks(all, crcs.data(), 0, &crc));
    REQUIRE(crc == Crc32c(all));
    if (!all.empty()) {
      all[random() % all.size()] ^= 4;
      REQUIRE_FALSE(CheckBlocks(all, crcs.data(), 0, &crc));
    }
  }
}

}  // namespace penstock::chunkserver
