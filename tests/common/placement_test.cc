// The vectors of docs/formats/placement.md: they never change.
#include "common/placement.h"

#include <catch2/catch.hpp>

using namespace penstock;

TEST_CASE("seeds mix to the documented values", "[common][placement]") {
  REQUIRE(MixSeed(0) == 0xe220a839u);
  REQUIRE(MixSeed(1) == 0x910a2decu);
  REQUIRE(MixSeed(2) == 0x975835deu);
  REQUIRE(MixSeed(0x12345678) == 0x38f1dc39u);
  REQUIRE(MixSeed(0xdeadbeef) == 0x4adfb90fu);
  REQUIRE(MixSeed(0xffffffff) == 0x73b13ba2u);
}

TEST_CASE("consecutive chunks lie in consecutive groups", "[common][placement]") {
  FileLayout layout{.content = ContentId(0x2a), .seed = 1};
  const uint32_t index = 5'000'000 >> layout.chunk_size_log2;
  const ChunkKey key = ChunkKeyOf(layout, index);
  REQUIRE(key == ChunkKey{0x910a2ded, ContentId(0x2a), 1});
  REQUIRE(GroupOfPosition(key.position, 1024) == 493);
  REQUIRE(GroupOfPosition(ChunkKeyOf(layout, 0).position, 1024) == 492);
  // Positions wrap at 2^32.
  REQUIRE(ChunkPosition(0xffffffff, 0xffffffff) == 0x73b13ba1u);
}

TEST_CASE("reversed positions make a group one range of keys", "[common][placement]") {
  REQUIRE(ReverseBits(1) == 0x80000000u);
  REQUIRE(ReverseBits(0x12345678) == 0x1e6a2c48u);
  REQUIRE(ReverseBits(0x910a2dec) == 0x37b45089u);
  for (uint32_t position : {0u, 5u, 0x910a2decu, 0xffffffffu}) {
    REQUIRE(ReverseBits(ReverseBits(position)) == position);
    REQUIRE(ReverseBits(position) >> 22 == ReverseBits(GroupOfPosition(position, 1024)) >> 22);
  }
}
