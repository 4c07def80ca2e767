#include "cli/chunk_check.h"

#include <catch2/catch.hpp>

namespace penstock::cli {
namespace {

Copy Good(uint64_t sequence, uint32_t length = 100) {
  Copy copy;
  copy.state = CopyState::kHolds;
  copy.version = {1, sequence};
  copy.length_bytes = length;
  return copy;
}

Copy InState(CopyState state) {
  Copy copy;
  copy.state = state;
  return copy;
}

CheckedChunk Compare(std::vector<Copy> copies, std::vector<bool> pending = {false, false}) {
  CheckedChunk chunk;
  chunk.copies = std::move(copies);
  CompareCopies(chunk.copies, pending);
  return chunk;
}

}  // namespace

TEST_CASE("equal copies hold, and chunks that nobody has are holes", "[cli][stat]") {
  REQUIRE(Compare({Good(5), Good(5)}).holds());
  const CheckedChunk hole = Compare({InState(CopyState::kAbsent), InState(CopyState::kAbsent)});
  REQUIRE(hole.hole());
  REQUIRE(hole.holds());
}

TEST_CASE("a copy that is older, shorter or missing differs", "[cli][stat]") {
  REQUIRE(Compare({Good(5), Good(4)}).copies[1].state == CopyState::kDiffers);
  REQUIRE_FALSE(Compare({Good(5), Good(4)}).holds());
  REQUIRE_FALSE(Compare({Good(5, 100), Good(5, 99)}).holds());
  REQUIRE_FALSE(Compare({Good(5), InState(CopyState::kAbsent)}).holds());
}

TEST_CASE("a copy behind a write that is under way is no damage", "[cli][stat]") {
  const CheckedChunk chunk = Compare({Good(4), Good(5)}, {true, false});
  REQUIRE(chunk.copies[0].state == CopyState::kWriting);
  REQUIRE(chunk.holds());
}

TEST_CASE("damaged and unreachable copies stay so", "[cli][stat]") {
  REQUIRE_FALSE(Compare({Good(5), InState(CopyState::kDamaged)}).holds());
  const CheckedChunk chunk = Compare({InState(CopyState::kUnreachable), Good(5)});
  REQUIRE(chunk.copies[0].state == CopyState::kUnreachable);
  REQUIRE_FALSE(chunk.holds());
}

}  // namespace penstock::cli
