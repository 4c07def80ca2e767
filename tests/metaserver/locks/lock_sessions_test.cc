// The end of sessions, and the time after a restart.
#include <catch2/catch.hpp>
#include <cerrno>

#include "tests/metaserver/locks/locks_fixture.h"

namespace penstock::metaserver {
namespace {

constexpr Who kA{1, 1}, kB{1, 2}, kC{2, 1};
constexpr int kQueued = LocksFixture::kQueued;
constexpr int kAborted = LocksFixture::kAborted;
using Gots = std::vector<LocksFixture::Got>;

}  // namespace

TEST_CASE("a session's end frees its locks and forgets its waits", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kA, {}) == 0);
  REQUIRE(f.Set(kB, Flock(wire::LOCK_TYPE_WRITE)) == 0);
  REQUIRE(f.Set(kC, {.ino = 8}) == 0);
  REQUIRE(f.Wait(kA, {.ino = 8}, 1) == kQueued);
  REQUIRE(f.Wait(kC, {}, 2) == EDEADLK);
  REQUIRE(f.Wait(kC, Flock(wire::LOCK_TYPE_READ), 3) == kQueued);
  REQUIRE(f.table.InTheWay().size() == 2);
  f.table.DropSession(SessionId(1));
  REQUIRE(f.answers.Take() == Gots{{2, 3, 0}});
  REQUIRE(f.table.CountsOf(SessionId(1)).locks == 0);
  REQUIRE(f.table.CountsOf(SessionId(1)).waiting == 0);
  REQUIRE(f.table.InTheWay().empty());
  REQUIRE(f.Unlock(kC, {.ino = 8}) == 0);
  REQUIRE(f.answers.Take().empty());
  REQUIRE(f.IsFree({}));
}

TEST_CASE("after a restart nothing new is given until all locks are known", "[metaserver][locks]") {
  LocksFixture f;
  f.table.BeginGrace({SessionId(1), SessionId(2)});
  REQUIRE(f.Set(kA, {}) == kAborted);
  REQUIRE(f.Unlock(kA) == kAborted);  // it would be undone by what is on its way
  f.ReleaseOwner(kA);
  REQUIRE(absl::IsAborted(f.released));
  REQUIRE(f.table.Reclaim(SessionId(1), {f.Lock(kA, {.start = 0, .end = 9})}) == 0);
  REQUIRE(f.table.InGrace());

  const Who fresh{3, 1};  // a session from after the restart holds nothing, so nobody waits for it
  REQUIRE(f.Set(kA, {.start = 0, .end = 4}) == 0);              // its own
  REQUIRE(f.Set(kA, {.start = 5, .end = 12}) == kAborted);      // perhaps another's
  REQUIRE(f.Set(fresh, {.start = 9, .end = 12}) == EAGAIN);     // surely another's
  REQUIRE(f.Set(fresh, {.start = 50, .end = 50}) == kAborted);  // perhaps
  REQUIRE(f.Wait(fresh, {.start = 50, .end = 50}, 1) == kQueued);
  REQUIRE(absl::IsAborted(f.Get(fresh, {.start = 50, .end = 50}).status()));
  REQUIRE(f.Get(fresh, {.start = 0, .end = 9})->conflict());
  REQUIRE(f.table.InTheWay() == std::vector{SessionId(2)});
  REQUIRE(f.Unlock(kA, {.start = 0, .end = 4}) == 0);

  REQUIRE(f.table.Reclaim(SessionId(2), {f.Lock(kC, {.start = 20, .end = 29})}) == 0);
  REQUIRE_FALSE(f.table.InGrace());
  REQUIRE(f.answers.Take() == Gots{{3, 1, 0}});
  REQUIRE(f.Set(fresh, {.start = 25, .end = 25}) == EAGAIN);
  REQUIRE(f.Set(fresh, {.start = 0, .end = 4}) == 0);
}

TEST_CASE("a session that never comes back does not hold up the others", "[metaserver][locks]") {
  LocksFixture f;
  f.table.BeginGrace({SessionId(1), SessionId(2)});
  REQUIRE(f.table.InTheWay().empty());  // nobody wants anything yet
  REQUIRE(f.table.Reclaim(SessionId(1), {}) == 0);
  REQUIRE(f.Wait(kA, {}, 1) == kQueued);
  REQUIRE(f.table.InTheWay() == std::vector{SessionId(2)});
  f.table.DropSession(SessionId(2));
  REQUIRE_FALSE(f.table.InGrace());
  REQUIRE(f.answers.Take() == Gots{{1, 1, 0}});
}

TEST_CASE("locks are presented once, and never take another's", "[metaserver][locks]") {
  LocksFixture f;
  f.table.BeginGrace({SessionId(1), SessionId(2)});
  REQUIRE(f.table.Reclaim(SessionId(1), {f.Lock(kA, {})}) == 0);
  REQUIRE(f.table.Reclaim(SessionId(2), {f.Lock(kC, {}), f.Lock(kC, {.ino = 8})}) == 1);
  REQUIRE(f.Unlock(kA) == 0);
  REQUIRE(f.table.Reclaim(SessionId(1), {f.Lock(kA, {})}) == 0);  // an old report
  REQUIRE(f.IsFree({}));
  REQUIRE_FALSE(f.IsFree({.ino = 8}));
}

TEST_CASE("a circle that came together during the restart is found", "[metaserver][locks]") {
  LocksFixture f;
  f.table.BeginGrace({SessionId(1), SessionId(2), SessionId(3)});
  REQUIRE(f.table.Reclaim(SessionId(1), {f.Lock(kA, {.ino = 1})}) == 0);
  REQUIRE(f.Wait(kA, {.ino = 2}, 1) == kQueued);
  REQUIRE(f.table.Reclaim(SessionId(3), {}) == 0);
  REQUIRE(f.Wait({3, 1}, {.ino = 3}, 5) == kQueued);
  REQUIRE(f.table.Reclaim(SessionId(2), {f.Lock(kC, {.ino = 2})}) == 0);
  REQUIRE(f.answers.Take() == Gots{{3, 5, 0}});
  REQUIRE(f.Wait(kC, {.ino = 1}, 9) == EDEADLK);
}

}  // namespace penstock::metaserver
