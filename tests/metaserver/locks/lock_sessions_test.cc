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

TEST_CASE("a later client of a session has its locks, and not its waits", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kA, {.start = 0, .end = 9, .handle = 5}) == 0);
  REQUIRE(f.Set(kA, {.type = wire::LOCK_TYPE_READ, .start = 20, .end = 29, .handle = 6}) == 0);
  REQUIRE(f.Set(kB, Flock(wire::LOCK_TYPE_WRITE)) == 0);
  REQUIRE(f.Set(kC, {.ino = 8}) == 0);
  REQUIRE(f.WaitAs(1, kA, {.ino = 8}, 1) == kQueued);
  REQUIRE(f.WaitAs(0, {3, 1}, {.ino = 8}, 2) == kQueued);
  for (int repeat = 0; repeat < 2; ++repeat) {
    auto resumed = f.table.Resume(SessionId(1), 2);
    REQUIRE(resumed.ok());
    REQUIRE_FALSE(resumed->unknown);
    REQUIRE(resumed->locks.size() == 3);
    const wire::FileLock& first = resumed->locks[0];
    // Which open file was the last, and not which for which piece, is what is known of an owner.
    REQUIRE(first.SerializeAsString() ==
            f.Lock(kA, {.start = 0, .end = 9, .handle = 6}).SerializeAsString());
    REQUIRE(resumed->locks[1].type() == wire::LOCK_TYPE_READ);
    REQUIRE(resumed->locks[2].SerializeAsString() ==
            f.Lock(kB, Flock(wire::LOCK_TYPE_WRITE)).SerializeAsString());
    REQUIRE(f.table.CountsOf(SessionId(1)).waiting == 0);
    REQUIRE(f.table.CountsOf(SessionId(1)).locks == 3);
  }
  REQUIRE(f.Unlock(kC, {.ino = 8}) == 0);
  REQUIRE(f.answers.Take() == Gots{{3, 2, 0}});
  REQUIRE(f.table.Resume(SessionId(3), 1)->locks.size() == 1);
  REQUIRE(f.table.Resume(SessionId(4), 1)->locks.empty());
}

TEST_CASE("the waits of a later client stay, and an earlier one asks in vain",
          "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kC, {}) == 0);
  REQUIRE(f.table.Resume(SessionId(1), 2).ok());
  REQUIRE(f.WaitAs(2, kA, {}, 7) == kQueued);
  REQUIRE(f.table.Resume(SessionId(1), 2).ok());  // a late copy
  REQUIRE(ReasonOf(f.table.Resume(SessionId(1), 1).status()) == Reason::kOldSequence);
  REQUIRE(f.table.CountsOf(SessionId(1)).waiting == 1);

  f.WaitAs(1, kB, {.ino = 9}, 3);
  REQUIRE(ReasonOf(f.last.status) == Reason::kOldSequence);
  wire::ReleaseLocksRequest release = f.ReleaseRequest(1, 7);
  release.mutable_context()->set_client(1);
  REQUIRE(ReasonOf(f.table.Release(release)) == Reason::kOldSequence);
  wire::CancelLockRequest cancel;
  cancel.mutable_context()->set_session_id(1);
  cancel.mutable_context()->set_client(1);
  cancel.set_ticket(7);
  REQUIRE(ReasonOf(f.table.Cancel(cancel).status()) == Reason::kOldSequence);

  REQUIRE(f.Unlock(kC) == 0);
  REQUIRE(f.answers.Take() == Gots{{1, 7, 0}});
  REQUIRE(f.IsFree({.ino = 9}));
}

TEST_CASE("locks that only a dead client knew are lost, and keep nobody waiting",
          "[metaserver][locks]") {
  LocksFixture f;
  f.table.BeginGrace({SessionId(1)});
  REQUIRE(f.Wait(kC, {}, 1) == kQueued);
  auto resumed = f.table.Resume(SessionId(1), 2);
  REQUIRE(resumed.ok());
  REQUIRE(resumed->unknown);
  REQUIRE(resumed->locks.empty());
  REQUIRE_FALSE(f.table.InGrace());
  REQUIRE(f.answers.Take() == Gots{{2, 1, 0}});
  REQUIRE_FALSE(f.table.Resume(SessionId(1), 2)->unknown);
}

}  // namespace penstock::metaserver
