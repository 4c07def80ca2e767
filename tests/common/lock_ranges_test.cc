#include "common/lock_ranges.h"

#include <array>
#include <catch2/catch.hpp>
#include <random>

namespace penstock {
namespace {

constexpr LockType kNone = LockType::kNone;
constexpr LockType kRead = LockType::kRead;
constexpr LockType kWrite = LockType::kWrite;
using Pieces = std::vector<LockPiece>;

}  // namespace

TEST_CASE("a lock replaces the part of the old ones that it covers", "[common][locks]") {
  struct Case {
    const char* what;
    Pieces sets;
    Pieces left;
  };
  const Case cases[] = {
      {"apart", {{{0, 9}, kRead}, {{20, 29}, kRead}}, {{{0, 9}, kRead}, {{20, 29}, kRead}}},
      {"neighbours of one type", {{{0, 9}, kRead}, {{10, 19}, kRead}}, {{{0, 19}, kRead}}},
      {"a neighbour before", {{{10, 19}, kRead}, {{0, 9}, kRead}}, {{{0, 19}, kRead}}},
      {"neighbours of two types",
       {{{0, 9}, kRead}, {{10, 19}, kWrite}},
       {{{0, 9}, kRead}, {{10, 19}, kWrite}}},
      {"between two", {{{0, 9}, kRead}, {{20, 29}, kRead}, {{10, 19}, kRead}}, {{{0, 29}, kRead}}},
      {"inside",
       {{{0, 29}, kWrite}, {{10, 19}, kRead}},
       {{{0, 9}, kWrite}, {{10, 19}, kRead}, {{20, 29}, kWrite}}},
      {"unlocked inside",
       {{{0, 29}, kWrite}, {{10, 19}, kNone}},
       {{{0, 9}, kWrite}, {{20, 29}, kWrite}}},
      {"unlocked around", {{{10, 19}, kWrite}, {{0, 100}, kNone}}, {}},
      {"unlocked across two",
       {{{0, 9}, kWrite}, {{10, 19}, kRead}, {{5, 14}, kNone}},
       {{{0, 4}, kWrite}, {{15, 19}, kRead}}},
      {"upgraded whole", {{{0, 9}, kRead}, {{0, 9}, kWrite}}, {{{0, 9}, kWrite}}},
      {"over many",
       {{{0, 1}, kRead}, {{4, 5}, kWrite}, {{8, 9}, kRead}, {{1, 8}, kWrite}},
       {{{0, 0}, kRead}, {{1, 8}, kWrite}, {{9, 9}, kRead}}},
      {"the last byte",
       {{{0, INT64_MAX}, kWrite}, {{INT64_MAX, INT64_MAX}, kNone}},
       {{{0, INT64_MAX - 1}, kWrite}}},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    LockRanges ranges;
    for (const LockPiece& piece : c.sets) ranges.Set(piece.range, piece.type);
    REQUIRE(ranges.All() == c.left);
  }
}

TEST_CASE("weakening takes nothing that is weaker already", "[common][locks]") {
  LockRanges ranges;
  ranges.Set({0, 9}, kWrite);
  ranges.Set({20, 29}, kRead);
  ranges.Weaken({5, 25}, kRead);
  REQUIRE(ranges.All() == Pieces{{{0, 4}, kWrite}, {{5, 9}, kRead}, {{20, 29}, kRead}});
  ranges.Weaken({0, 100}, kNone);
  REQUIRE(ranges.empty());
  REQUIRE(ranges.writes() == 0);
}

TEST_CASE("what is held in a range is told with its gaps", "[common][locks]") {
  LockRanges ranges;
  ranges.Set({10, 19}, kRead);
  ranges.Set({30, 39}, kWrite);
  REQUIRE(ranges.In({0, 34}) ==
          Pieces{{{0, 9}, kNone}, {{10, 19}, kRead}, {{20, 29}, kNone}, {{30, 34}, kWrite}});
  REQUIRE(ranges.In({12, 13}) == Pieces{{{12, 13}, kRead}});
  REQUIRE(ranges.In({50, 60}) == Pieces{{{50, 60}, kNone}});
  REQUIRE(ranges.FirstConflict({0, 29}, kRead) == std::nullopt);
  REQUIRE(ranges.FirstConflict({0, 29}, kWrite) == LockPiece{{10, 19}, kRead});
  REQUIRE(ranges.FirstConflict({25, 60}, kRead) == LockPiece{{30, 39}, kWrite});
}

TEST_CASE("random ranges agree with a lock a byte", "[common][locks]") {
  const uint32_t seed = GENERATE(1u, 2u, 3u);
  INFO("seed " << seed);
  std::mt19937 random(seed);
  constexpr uint64_t kBytes = 48;
  std::array<LockType, kBytes> model{};
  LockRanges ranges;
  for (int step = 0; step < 5000; ++step) {
    LockRange range{random() % kBytes, random() % kBytes};
    if (range.start > range.end) std::swap(range.start, range.end);
    const auto type = static_cast<LockType>(random() % 3);
    const bool weaken = random() % 4 == 0;
    for (uint64_t at = range.start; at <= range.end; ++at) {
      if (!weaken || model[at] > type) model[at] = type;
    }
    weaken ? ranges.Weaken(range, type) : ranges.Set(range, type);
    size_t pieces = 0, writes = 0;
    for (uint64_t at = 0; at < kBytes; ++at) {
      REQUIRE(ranges.In({at, at})[0].type == model[at]);
      if (model[at] == kNone || (at > 0 && model[at - 1] == model[at])) continue;
      ++pieces;
      if (model[at] == kWrite) ++writes;
    }
    REQUIRE(ranges.size() == pieces);
    REQUIRE(ranges.writes() == writes);
  }
}

}  // namespace penstock
