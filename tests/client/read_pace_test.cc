#include "client/read_pace.h"

#include <catch2/catch.hpp>

namespace penstock::client {
namespace {

constexpr ServerId kFast(1), kOther(2), kSlow(3);
constexpr size_t kSmall = 4096, kLarge = 1 << 20;
const absl::Time kNow = absl::FromUnixSeconds(1000);

void Fill(ReadPace& pace, ServerId server, size_t bytes, absl::Duration usual,
          absl::Duration longest) {
  for (int i = 0; i < 128; ++i) pace.Answered(server, bytes, i % 64 == 0 ? longest : usual);
}

TEST_CASE("before anything is known a read waits the longest time", "[client][read_pace]") {
  const ReadPace pace(ReadPaceOptions{});
  REQUIRE(pace.HedgeAfter(kSmall) == absl::Seconds(1));
}

TEST_CASE("then as long as 99 of 100 answers take, of each size apart", "[client][read_pace]") {
  ReadPace pace(ReadPaceOptions{});
  Fill(pace, kFast, kLarge, absl::Milliseconds(20), absl::Milliseconds(80));
  REQUIRE(absl::AbsDuration(pace.HedgeAfter(kLarge) - absl::Milliseconds(80)) <
          absl::Microseconds(1));
  REQUIRE(pace.HedgeAfter(kSmall) == absl::Seconds(1));
  Fill(pace, kFast, kSmall, absl::Microseconds(50), absl::Microseconds(90));
  REQUIRE(pace.HedgeAfter(kSmall) == absl::Milliseconds(10));  // never sooner
}

TEST_CASE("a slow server does not hide in its own slowness", "[client][read_pace]") {
  ReadPace pace(ReadPaceOptions{});
  Fill(pace, kFast, kSmall, absl::Milliseconds(12), absl::Milliseconds(15));
  Fill(pace, kOther, kSmall, absl::Milliseconds(12), absl::Milliseconds(600));
  Fill(pace, kSlow, kSmall, absl::Milliseconds(700), absl::Milliseconds(900));
  REQUIRE(pace.HedgeAfter(kSmall) < absl::Milliseconds(17));
}

TEST_CASE("when all are slow reads are patient", "[client][read_pace]") {
  ReadPace pace(ReadPaceOptions{});
  for (ServerId server : {kFast, kOther, kSlow}) {
    Fill(pace, server, kSmall, absl::Milliseconds(300), absl::Seconds(3));
  }
  REQUIRE(pace.HedgeAfter(kSmall) == absl::Seconds(1));  // and yet not for ever
}

TEST_CASE("hedges are a small part of all reads", "[client][read_pace]") {
  ReadPace pace(ReadPaceOptions{});
  int taken = 0;
  while (pace.TakeHedge()) ++taken;
  REQUIRE(taken == 10);
  for (int i = 0; i < 1000; ++i) {
    pace.Answered(kFast, kSmall, absl::Milliseconds(1));
    if (i % 20 == 19) taken += pace.TakeHedge() ? 1 : 0;
  }
  REQUIRE(taken >= 58);
  REQUIRE(taken <= 60);
  REQUIRE(pace.counters().hedged == static_cast<uint64_t>(taken));
}

TEST_CASE("a server that is overtaken again and again limps for a while", "[client][read_pace]") {
  ReadPace pace(ReadPaceOptions{});
  auto overtaken = [&](int times) {
    for (int i = 0; i < times; ++i) pace.Overtaken(kSlow, kSmall, absl::Milliseconds(50), kNow);
  };
  overtaken(4);
  REQUIRE_FALSE(pace.Limps(kSlow, kNow));
  SECTION("for a while") {
    overtaken(1);
    REQUIRE(pace.Limps(kSlow, kNow));
    REQUIRE_FALSE(pace.Limps(kFast, kNow));
    REQUIRE_FALSE(pace.Limps(kSlow, kNow + absl::Seconds(5)));
  }
  SECTION("not when it answers most in time") {
    for (int i = 0; i < 400; ++i) {
      if (i % 100 == 99) overtaken(1);
      pace.Answered(kSlow, kSmall, absl::Milliseconds(1));
    }
    REQUIRE_FALSE(pace.Limps(kSlow, kNow));
  }
  SECTION("also when it answers nine of ten in time") {
    for (int i = 0; i < 100; ++i) {
      if (i % 10 == 0) overtaken(1);
      pace.Answered(kSlow, kSmall, absl::Milliseconds(1));
    }
    REQUIRE(pace.Limps(kSlow, kNow));
  }
}

TEST_CASE("hedging can be turned off", "[client][read_pace]") {
  ReadPace pace({.least = absl::InfiniteDuration()});
  Fill(pace, kFast, kSmall, absl::Milliseconds(1), absl::Milliseconds(1));
  REQUIRE(pace.HedgeAfter(kSmall) == absl::InfiniteDuration());
}

}  // namespace
}  // namespace penstock::client
