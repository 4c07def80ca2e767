#include "chunkserver/scrub/scrub_state.h"

#include <catch2/catch.hpp>

#include "chunkserver/scrub/scrub_pace.h"

namespace penstock::chunkserver {
namespace {

ScrubFinding Finding(uint32_t index, wire::ScrubOutcome outcome) {
  return {.key = {7, ContentId(uint64_t{1} << 63), index},
          .version = {3, 9},
          .outcome = outcome,
          .what = "bytes",
          .found_s = 1000};
}

TEST_CASE("the state of a scrub is as it was after a restart", "[chunkserver][scrub]") {
  ScrubState state;
  state.order = 12;
  state.ordered = true;
  state.max_bytes_per_second = 5000;
  state.Begin(500);
  state.index_checked = true;
  state.position = ChunkKey{UINT32_MAX, ContentId(UINT64_MAX), 4};
  state.chunks_done = 10;
  state.bytes_done = 1 << 20;
  state.Add(Finding(1, wire::SCRUB_LOST));
  state.Add({.what = "the index: \xff\x01"});
  const auto again = ScrubState::FromJson(state.ToJson());
  REQUIRE(again.ok());
  REQUIRE(again->running);
  REQUIRE(again->order == 12);
  REQUIRE(again->ordered);
  REQUIRE(again->order_done == 0);
  REQUIRE(again->max_bytes_per_second == 5000);
  REQUIRE(again->started_s == 500);
  REQUIRE(again->index_checked);
  REQUIRE(again->position == state.position);
  REQUIRE(again->chunks_done == 10);
  REQUIRE(again->bytes_done == 1 << 20);
  REQUIRE(again->found == 2);
  REQUIRE(again->findings.size() == 2);
  REQUIRE(again->findings[0].key == Finding(1, wire::SCRUB_LOST).key);
  REQUIRE(again->findings[0].version == ChunkVersion{3, 9});
  REQUIRE(again->findings[0].outcome == wire::SCRUB_LOST);
  REQUIRE(!again->findings[1].key.content.valid());
}

TEST_CASE("a state that makes no sense is refused", "[chunkserver][scrub]") {
  REQUIRE(absl::IsFailedPrecondition(ScrubState::FromJson("{\"format\": 2}").status()));
  REQUIRE(absl::IsDataLoss(ScrubState::FromJson("").status()));
  REQUIRE(absl::IsDataLoss(ScrubState::FromJson("[]").status()));
  REQUIRE(absl::IsDataLoss(ScrubState::FromJson("{\"format\": 1, \"order\": \"x\"}").status()));
}

TEST_CASE("a new pass forgets what was mended, and tells what is still bad once",
          "[chunkserver][scrub]") {
  ScrubState state;
  state.Begin(1);
  state.Add(Finding(1, wire::SCRUB_REPAIRED));
  state.Add(Finding(2, wire::SCRUB_LOST));
  state.ordered = true;
  state.order = 4;
  state.End(2);
  REQUIRE(state.order_done == 4);
  REQUIRE(state.passes == 1);
  state.Begin(3);
  REQUIRE(state.findings.size() == 1);
  state.Add(Finding(2, wire::SCRUB_DAMAGED));
  REQUIRE(state.findings.size() == 1);
  REQUIRE(state.found == 1);
  for (uint32_t i = 10; i < 3000; ++i) state.Add(Finding(i, wire::SCRUB_DAMAGED));
  REQUIRE(state.findings.size() == ScrubState::kMostFindings);
  const wire::ScrubProgress progress = ProgressOf(TargetId(5), state, {10, 20});
  REQUIRE(progress.findings_size() == 200);
  REQUIRE(progress.findings(0).index() == 2999);  // the newest
  REQUIRE(progress.found() == 2991);
}

TEST_CASE("a scrub takes its days, and steps aside for others", "[chunkserver][scrub]") {
  const uint64_t day_rate = ScrubPace::RateFor(14 * 86400 * 1000 * kKiB, absl::Hours(14 * 24));
  REQUIRE(day_rate > 1000 * kKiB);
  REQUIRE(day_rate < 1200 * kKiB);
  REQUIRE(ScrubPace::RateFor(0, absl::Hours(1)) == ScrubPace::kLeastBytesPerSecond);
  ScrubPace pace;
  const absl::Duration now = absl::Seconds(100), took = absl::Milliseconds(100);
  REQUIRE(pace.Next({kMiB, took, false, 0}, now) == now);
  REQUIRE(pace.Next({kMiB, took, false, kMiB}, now) == now + absl::Milliseconds(900));
  REQUIRE(pace.Next({kMiB, took, true, 0}, now) == now + absl::Milliseconds(400));
  REQUIRE(pace.Next({kMiB, took, true, kMiB}, now) == now + absl::Milliseconds(900));
}

}  // namespace
}  // namespace penstock::chunkserver
