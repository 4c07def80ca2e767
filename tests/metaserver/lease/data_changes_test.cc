#include "metaserver/lease/data_changes.h"

#include <catch2/catch.hpp>

#include "tests/testing/fake_clock.h"

namespace penstock::metaserver {
namespace {

constexpr SessionId kWriter(1), kReader(2), kOther(3);
constexpr InodeNumber kFile(77);

struct Fixture {
  bool Tell(DataChange& change, SessionId session) {
    const bool told = changes.Tell(change, kFile, session);
    changes.LetGo(change);
    return told;
  }
  bool Hold(SessionId session) {
    return changes.Hold(kFile, session, [this] { ++gone; });
  }
  testing::FakeClock clock;
  DataChanges changes{&clock};
  int gone = 0;
};

TEST_CASE("a question is held from the answer until the change ends", "[metaserver][lease]") {
  Fixture f;
  DataChange change(kWriter);
  REQUIRE_FALSE(f.Hold(kReader));  // nothing is being changed
  REQUIRE(f.Tell(change, kReader));
  REQUIRE_FALSE(f.Tell(change, kReader));
  f.changes.Answered(change, kFile, kReader);
  REQUIRE(f.Hold(kReader));
  REQUIRE_FALSE(f.Hold(kOther));  // it was told nothing
  REQUIRE_FALSE(f.Hold(kWriter));
  REQUIRE_FALSE(f.Tell(change, kReader));
  REQUIRE(f.gone == 0);
  f.changes.End(change);
  REQUIRE(f.gone == 1);
  f.changes.End(change);
  REQUIRE_FALSE(f.changes.Knows(kFile, kReader));
}

TEST_CASE("who asked before its answer is told again", "[metaserver][lease]") {
  Fixture f;
  DataChange change(kWriter);
  REQUIRE(f.Tell(change, kReader));
  REQUIRE_FALSE(f.Hold(kReader));
  f.changes.Answered(change, kFile, kReader);
  REQUIRE(f.Tell(change, kReader));
  f.changes.Answered(change, kFile, kReader);
  REQUIRE_FALSE(f.Tell(change, kReader));
  f.changes.End(change);
}

TEST_CASE("a second change lets a held question go, since its page must be dropped",
          "[metaserver][lease]") {
  Fixture f;
  DataChange first(kWriter), second(kOther);
  REQUIRE(f.Tell(first, kReader));
  f.changes.Answered(first, kFile, kReader);
  REQUIRE(f.Hold(kReader));
  REQUIRE(f.Tell(second, kReader));
  REQUIRE(f.gone == 1);
  REQUIRE_FALSE(f.Hold(kReader));  // and is noted with both
  f.changes.Answered(second, kFile, kReader);
  REQUIRE(f.Tell(first, kReader));
  REQUIRE(f.Tell(second, kReader));
  f.changes.Answered(first, kFile, kReader);
  f.changes.Answered(second, kFile, kReader);
  REQUIRE(f.Hold(kReader));
  f.changes.End(first);
  REQUIRE(f.gone == 1);  // the second one is still to come
  f.changes.End(second);
  REQUIRE(f.gone == 2);
}

TEST_CASE("a session keeps few connections waiting", "[metaserver][lease]") {
  Fixture f;
  DataChange change(kWriter);
  REQUIRE(f.Tell(change, kReader));
  f.changes.Answered(change, kFile, kReader);
  for (int i = 0; i < DataChanges::kMostHeld; ++i) REQUIRE(f.Hold(kReader));
  REQUIRE_FALSE(f.Hold(kReader));
  REQUIRE(f.Tell(change, kReader));  // the last one got old bytes
  REQUIRE(f.gone == DataChanges::kMostHeld);
  f.changes.End(change);
}

TEST_CASE("nothing is held for longer than kLongestHold", "[metaserver][lease]") {
  Fixture f;
  DataChange change(kWriter);
  REQUIRE(f.Tell(change, kReader));
  f.changes.Answered(change, kFile, kReader);
  REQUIRE(f.Hold(kReader));
  f.changes.ReleaseOverdue();
  REQUIRE(f.gone == 0);
  f.clock.Advance(DataChanges::kLongestHold);
  f.changes.ReleaseOverdue();
  REQUIRE(f.gone == 1);
  REQUIRE(f.Tell(change, kReader));  // what it got is old
  f.changes.Answered(change, kFile, kReader);
  REQUIRE(f.Hold(kReader));
  f.changes.ReleaseAll();
  REQUIRE(f.gone == 2);
  f.changes.End(change);
}

}  // namespace
}  // namespace penstock::metaserver
