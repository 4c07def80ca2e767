#include <catch2/catch.hpp>

#include "client/fuse/given_attributes.h"
#include "tests/testing/fake_clock.h"

namespace penstock::client {
namespace {

constexpr InodeNumber kFile(5);

TEST_CASE("the kernel is told to drop attributes that it has, once", "[client][attributes]") {
  testing::FakeClock clock;
  GivenAttributes given(&clock);
  REQUIRE_FALSE(given.Drop(kFile));
  REQUIRE(given.Give(kFile, given.Begin(kFile), absl::Seconds(4)));
  REQUIRE(given.Drop(kFile));
  REQUIRE_FALSE(given.Drop(kFile));
  REQUIRE(given.Give(kFile, given.Begin(kFile), absl::ZeroDuration()));  // it keeps nothing
  REQUIRE_FALSE(given.Drop(kFile));
}

TEST_CASE("attributes that were dropped on their way are not kept", "[client][attributes]") {
  testing::FakeClock clock;
  GivenAttributes given(&clock);
  const uint64_t begun = given.Begin(kFile);
  REQUIRE_FALSE(given.Drop(kFile));
  REQUIRE_FALSE(given.Give(kFile, begun, absl::Seconds(4)));
  REQUIRE_FALSE(given.Drop(kFile));
}

TEST_CASE("attributes that hold no more need not be dropped", "[client][attributes]") {
  testing::FakeClock clock;
  GivenAttributes given(&clock);
  REQUIRE(given.Give(kFile, given.Begin(kFile), absl::Seconds(4)));
  clock.Advance(absl::Seconds(7));
  REQUIRE(given.Drop(kFile));  // the kernel may have got them late
  REQUIRE(given.Give(kFile, given.Begin(kFile), absl::Seconds(4)));
  clock.Advance(absl::Seconds(9));
  REQUIRE_FALSE(given.Drop(kFile));
}

TEST_CASE("what an earlier client gave is dropped", "[client][attributes]") {
  testing::FakeClock clock;
  GivenAttributes given(&clock);
  given.ExpectAny();
  REQUIRE(given.Drop(kFile));
  clock.Advance(absl::Hours(1));
  REQUIRE(given.Drop(kFile));  // access lists have no time
}

TEST_CASE("access lists are dropped, too, and when there are too many then of all",
          "[client][attributes]") {
  testing::FakeClock clock;
  GivenAttributes given(&clock);
  given.GiveAccessList(kFile);
  clock.Advance(absl::Hours(1));
  REQUIRE(given.Drop(kFile));
  REQUIRE_FALSE(given.Drop(kFile));
  for (uint64_t ino = 1; ino <= 1'000'000; ++ino) given.GiveAccessList(InodeNumber(ino));
  for (uint64_t ino = 1; ino <= 1'000'000; ino += 1000) REQUIRE(given.Drop(InodeNumber(ino)));
}

TEST_CASE("of very many inodes each is dropped that has attributes", "[client][attributes]") {
  testing::FakeClock clock;
  GivenAttributes given(&clock);
  constexpr uint64_t kMany = 100'000;
  for (uint64_t ino = 1; ino <= kMany; ++ino) {
    const InodeNumber number(ino);
    REQUIRE(given.Give(number, given.Begin(number), absl::Seconds(4)));
    if (ino == kMany / 2) clock.Advance(absl::Seconds(9));
  }
  size_t dropped = 0;
  for (uint64_t ino = 1; ino <= kMany; ++ino) dropped += given.Drop(InodeNumber(ino));
  REQUIRE(dropped == kMany / 2);
}

}  // namespace
}  // namespace penstock::client
