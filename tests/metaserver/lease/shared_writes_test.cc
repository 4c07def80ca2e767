// Turns of several sessions, and of the clients that one session had one after the other.
#include "metaserver/lease/shared_writes.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>

namespace penstock::metaserver {
namespace {

using Who = SharedWrites::Who;
constexpr InodeNumber kFile(uint64_t{7}), kOther(uint64_t{8});
constexpr SessionId kA(1), kB(2);

struct Fixture {
  void Begin(Who who, char name, InodeNumber ino = kFile) {
    turns.Begin(who, ino, [this, name] { granted += name; });
  }
  std::string Take() { return std::exchange(granted, ""); }
  SharedWrites turns;
  std::string granted;
};

}  // namespace

TEST_CASE("one session at a time has its turn, in the order in which they asked",
          "[metaserver][lease]") {
  Fixture f;
  f.Begin({kA}, 'a');
  f.Begin({kB}, 'b');
  f.Begin({kA}, 'A');  // it has the turn already
  REQUIRE(f.Take() == "aA");
  f.turns.End({kA}, kFile);
  REQUIRE(f.Take() == "b");
  REQUIRE(f.turns.Holds(kB, kFile));
  f.Begin({kA}, 'a');
  f.turns.Gone(kB);
  REQUIRE(f.Take() == "a");
  f.turns.End({kA}, kFile);
  REQUIRE_FALSE(f.turns.Holds(kA, kFile));
}

TEST_CASE("the turns and waits of a client end when a later one goes on", "[metaserver][lease]") {
  Fixture f;
  f.Begin({kA, 1}, 'a');
  f.Begin({kB, 5}, 'b');
  f.Begin({kB, 5}, 'c', kOther);
  f.Begin({kA, 1}, 'd', kOther);
  REQUIRE(f.Take() == "ac");
  f.turns.EndEarlier({kA, 2});
  const std::string answered = f.Take();
  REQUIRE(answered.size() == 2);  // b has its turn, d hears that it has waited in vain
  REQUIRE(f.turns.Holds(kB, kFile));
  f.turns.End({kB, 5}, kOther);
  REQUIRE(f.Take().empty());
  REQUIRE_FALSE(f.turns.Holds(kA, kOther));
  f.turns.EndEarlier({kB, 5});  // its own stay
  REQUIRE(f.turns.Holds(kB, kFile));
}

TEST_CASE("what an earlier client sent does not end a later one's turn", "[metaserver][lease]") {
  Fixture f;
  f.Begin({kA, 1}, 'a');
  f.Begin({kA, 2}, 'A');  // the session's turn is handed down
  f.turns.End({kA, 1}, kFile);
  f.turns.EndEarlier({kA, 2});  // a late copy
  REQUIRE(f.turns.Holds(kA, kFile));
  f.Begin({kA, 1}, 'a');  // refused by whoever is called
  f.turns.End({kA, 1}, kFile);
  REQUIRE(f.turns.Holds(kA, kFile));
  f.turns.End({kA, 2}, kFile);
  REQUIRE_FALSE(f.turns.Holds(kA, kFile));
}

}  // namespace penstock::metaserver
