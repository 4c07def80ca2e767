#include "chunkserver/scrub/repair_rules.h"

#include <catch2/catch.hpp>

namespace penstock::chunkserver {
namespace {

ChunkInfo Own(bool quarantined) {
  ChunkInfo info;
  info.committed = {3, 7};
  info.quarantined = quarantined;
  return info;
}

TEST_CASE("only the very same version mends a copy", "[chunkserver][scrub]") {
  REQUIRE(DecideMend(Own(true), {{3, 7}, {}, false}) == MendAction::kTake);
  // The source may have begun a later write meanwhile: these bytes are still those of 3.7.
  REQUIRE(DecideMend(Own(true), {{3, 7}, ChunkVersion{3, 8}, false}) == MendAction::kTake);
  REQUIRE(DecideMend(Own(true), {}) == MendAction::kAbsent);
  for (ChunkVersion other : {ChunkVersion{3, 6}, ChunkVersion{3, 8}, {4, 1}}) {
    REQUIRE(DecideMend(Own(true), {other, {}, false}) == MendAction::kWait);
  }
  REQUIRE(DecideMend(Own(true), {{3, 7}, {}, true}) == MendAction::kWait);
}

TEST_CASE("what is pending here is committed when the source has it, and else stays",
          "[chunkserver][scrub]") {
  ChunkInfo own = Own(true);
  own.pending = ChunkVersion{3, 8};
  REQUIRE(DecideMend(own, {{3, 7}, {}, false}) == MendAction::kTake);
  REQUIRE(DecideMend(own, {{3, 8}, {}, false}) == MendAction::kCommit);
  REQUIRE(DecideMend(own, {{3, 8}, {}, true}) == MendAction::kWait);
  REQUIRE(DecideMend(own, {{3, 9}, {}, false}) == MendAction::kWait);
}

TEST_CASE("a copy that is not damaged is left alone", "[chunkserver][scrub]") {
  REQUIRE(DecideMend(Own(false), {{3, 7}, {}, false}) == MendAction::kNothing);
  REQUIRE(DecideMend(ChunkInfo(), {{3, 7}, {}, false}) == MendAction::kNothing);
}

TEST_CASE("tries become rarer, up to a limit", "[chunkserver][scrub]") {
  const RepairPauses pauses{absl::Seconds(1), absl::Minutes(5)};
  REQUIRE(PauseAfter(pauses, 1) == absl::Seconds(1));
  REQUIRE(PauseAfter(pauses, 2) == absl::Seconds(2));
  REQUIRE(PauseAfter(pauses, 9) == absl::Seconds(256));
  REQUIRE(PauseAfter(pauses, 1000) == absl::Minutes(5));
}

}  // namespace
}  // namespace penstock::chunkserver
