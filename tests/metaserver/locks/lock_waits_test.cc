// Waiting: in which order, how it ends, and circles.
#include <catch2/catch.hpp>
#include <cerrno>

#include "tests/metaserver/locks/locks_fixture.h"

namespace penstock::metaserver {
namespace {

constexpr Who kA{1, 1}, kB{1, 2}, kC{2, 1}, kD{3, 1};
constexpr int kQueued = LocksFixture::kQueued;
using Got = LocksFixture::Got;
using Gots = std::vector<Got>;

What At(uint64_t byte, uint64_t ino = 7) { return {.start = byte, .end = byte, .ino = ino}; }

}  // namespace

TEST_CASE("who waits is served in order of arrival, readers together", "[metaserver][locks]") {
  for (wire::LockKind kind : {wire::LOCK_POSIX, wire::LOCK_OFD, wire::LOCK_FLOCK}) {
    INFO("kind " << kind);
    const What write{.type = wire::LOCK_TYPE_WRITE, .kind = kind};
    const What read{.type = wire::LOCK_TYPE_READ, .kind = kind};
    LocksFixture f;
    REQUIRE(f.Set(kA, write) == 0);
    REQUIRE(f.Wait(kB, write, 1) == kQueued);
    REQUIRE(f.Wait(kC, read, 1) == kQueued);
    REQUIRE(f.Wait(kD, read, 1) == kQueued);
    REQUIRE(f.table.CountsOf(SessionId(2)).waiting == 1);
    REQUIRE(f.answers.Take().empty());
    REQUIRE(f.Unlock(kA, write) == 0);
    REQUIRE(f.answers.Take() == Gots{{1, 1, 0}});
    REQUIRE(f.Unlock(kB, write) == 0);
    REQUIRE(f.answers.Take() == Gots{{2, 1, 0}, {3, 1, 0}});
    REQUIRE(f.table.CountsOf(SessionId(2)).waiting == 0);
    REQUIRE(f.table.CountsOf(SessionId(2)).locks == 1);
  }
}

TEST_CASE("unlocking, weakening and closing serve who waits for just that", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kA, {.start = 0, .end = 99}) == 0);
  REQUIRE(f.Wait(kB, At(10), 1) == kQueued);
  REQUIRE(f.Wait(kC, {.type = wire::LOCK_TYPE_READ, .start = 20, .end = 20}, 2) == kQueued);
  REQUIRE(f.Wait(kD, At(30), 3) == kQueued);
  REQUIRE(f.Unlock(kA, At(10)) == 0);
  REQUIRE(f.answers.Take() == Gots{{1, 1, 0}});
  REQUIRE(f.Set(kA, {.type = wire::LOCK_TYPE_READ, .start = 11, .end = 99}) == 0);
  REQUIRE(f.answers.Take() == Gots{{2, 2, 0}});
  f.ReleaseOwner(kA);
  REQUIRE(f.answers.Take() == Gots{{3, 3, 0}});
}

TEST_CASE("who is served may thereby make room for others", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kA, {.start = 0, .end = 9}) == 0);
  REQUIRE(f.Set(kB, {.start = 10, .end = 19}) == 0);
  REQUIRE(f.Wait(kC, {.type = wire::LOCK_TYPE_READ, .start = 0, .end = 0}, 1) == kQueued);
  REQUIRE(f.Wait(kA, {.type = wire::LOCK_TYPE_READ, .start = 0, .end = 19}, 2) == kQueued);
  REQUIRE(f.Unlock(kB, {.start = 10, .end = 19}) == 0);
  REQUIRE(f.answers.Take() == Gots{{1, 2, 0}, {2, 1, 0}});
}

TEST_CASE("a reader does not wait for a waiting writer", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kA, Flock(wire::LOCK_TYPE_READ)) == 0);
  REQUIRE(f.Wait(kC, Flock(wire::LOCK_TYPE_WRITE), 1) == kQueued);
  // Else a process that opens the file twice would wait for itself.
  REQUIRE(f.Wait(kB, Flock(wire::LOCK_TYPE_READ), 2) == 0);
}

TEST_CASE("a conversion by flock that waits lets others in meanwhile", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kA, Flock(wire::LOCK_TYPE_READ)) == 0);
  REQUIRE(f.Set(kC, Flock(wire::LOCK_TYPE_READ)) == 0);
  REQUIRE(f.Wait(kA, Flock(wire::LOCK_TYPE_WRITE), 1) == kQueued);
  REQUIRE(f.Set(kC, Flock(wire::LOCK_TYPE_WRITE)) == 0);  // A's is gone
  REQUIRE(f.Unlock(kC, Flock(wire::LOCK_TYPE_NONE)) == 0);
  REQUIRE(f.answers.Take() == Gots{{1, 1, 0}});
}

TEST_CASE("a cancelled wait is never served, a served one says so", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kA, {}) == 0);
  const auto waiting = f.Request(kB, {}, 1);
  REQUIRE(f.Send(waiting) == kQueued);
  REQUIRE(f.Wait(kC, {}, 2) == kQueued);
  REQUIRE_FALSE(f.Cancel(1, 1)->granted());
  REQUIRE_FALSE(f.Cancel(1, 1)->granted());
  REQUIRE(f.Send(waiting) == kQueued);  // a late copy: the first answer, no new wait
  REQUIRE(f.Wait(kB, {}, 1) == EINTR);  // asked anew with the ticket
  REQUIRE(f.table.CountsOf(SessionId(1)).waiting == 0);
  REQUIRE(f.Unlock(kA) == 0);
  REQUIRE(f.answers.Take() == Gots{{2, 2, 0}});
  REQUIRE(f.Cancel(2, 2)->granted());
  REQUIRE_FALSE(f.IsFree({}));
  REQUIRE(absl::IsNotFound(f.Cancel(2, 77).status()));
  REQUIRE(f.Wait(kC, {}, 77) == EINTR);  // its request came after its end
}

TEST_CASE("who asks again for a wait waits once and hears its answer again",
          "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kA, {}) == 0);
  REQUIRE(f.Wait(kC, {}, 1) == kQueued);
  REQUIRE(f.Wait(kC, {}, 1) == kQueued);
  REQUIRE(f.table.CountsOf(SessionId(2)).waiting == 1);
  REQUIRE(f.Unlock(kA) == 0);
  REQUIRE(f.answers.Take() == Gots{{2, 1, 0}});
  REQUIRE(f.Unlock(kC) == 0);
  REQUIRE(f.Wait(kC, {}, 1) == 0);  // the answer, not a new lock
  REQUIRE(f.IsFree({}));
}

TEST_CASE("a wait that was answered at once is not carried out again", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Wait(kA, {}, 1) == 0);
  REQUIRE(f.Unlock(kA) == 0);
  REQUIRE(f.Wait(kA, {}, 1) == 0);
  REQUIRE(f.IsFree({}));
}

TEST_CASE("a session that waits for too many locks gets ENOLCK", "[metaserver][locks]") {
  LocksFixture f({.max_waits_per_session = 2});
  REQUIRE(f.Set(kA, {}) == 0);
  REQUIRE(f.Wait({2, 1}, {}, 1) == kQueued);
  REQUIRE(f.Wait({2, 2}, {}, 2) == kQueued);
  REQUIRE(f.Wait({2, 3}, {}, 3) == ENOLCK);
  REQUIRE(f.Wait({3, 3}, {}, 3) == kQueued);
}

TEST_CASE("circles of waiting processes are refused, however long", "[metaserver][locks]") {
  const int length = GENERATE(2, 3, 7);
  INFO("length " << length);
  const auto who = [](int i) { return Who{static_cast<uint64_t>(i % 3 + 1), 10u + i}; };
  LocksFixture f;
  for (int i = 0; i < length; ++i) REQUIRE(f.Set(who(i), At(0, 100 + i)) == 0);
  for (int i = 0; i + 1 < length; ++i) REQUIRE(f.Wait(who(i), At(0, 101 + i), 10 + i) == kQueued);
  const Who last = who(length - 1);
  REQUIRE(f.Wait(last, At(0, 100), 99) == EDEADLK);
  REQUIRE(f.Wait(last, At(1, 100), 98) == 0);  // what is free is given
  REQUIRE(f.Set(last, At(0, 100)) == EAGAIN);  // who does not wait closes no circle
  REQUIRE(f.Unlock(last, At(0, 100 + length - 1)) == 0);
  REQUIRE(f.answers.Take().size() == 1);
}

TEST_CASE("a wait that a shared lock's second holder would close is refused",
          "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kA, {.type = wire::LOCK_TYPE_READ, .start = 0, .end = 0}) == 0);
  REQUIRE(f.Set(kC, {.type = wire::LOCK_TYPE_READ, .start = 0, .end = 0}) == 0);
  REQUIRE(f.Wait(kA, At(0), 1) == kQueued);  // for C
  REQUIRE(f.Wait(kC, At(0), 1) == EDEADLK);  // for A
}

TEST_CASE("waits of open file descriptions and flock are never refused", "[metaserver][locks]") {
  for (wire::LockKind kind : {wire::LOCK_OFD, wire::LOCK_FLOCK}) {
    INFO("kind " << kind);
    LocksFixture f;
    const What one{.kind = kind, .ino = 1}, two{.kind = kind, .ino = 2};
    REQUIRE(f.Set(kA, one) == 0);
    REQUIRE(f.Set(kC, two) == 0);
    REQUIRE(f.Wait(kA, two, 1) == kQueued);
    REQUIRE(f.Wait(kC, one, 1) == kQueued);
  }
}

}  // namespace penstock::metaserver
