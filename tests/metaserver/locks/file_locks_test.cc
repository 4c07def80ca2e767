// What is granted and what is not, without waiting.
#include "metaserver/locks/file_locks.h"

#include <catch2/catch.hpp>
#include <cerrno>

#include "tests/metaserver/locks/locks_fixture.h"

namespace penstock::metaserver {
namespace {

constexpr Who kMe{.session = 1, .owner = 1};
constexpr Who kOtherProcess{.session = 1, .owner = 2};
constexpr Who kOtherMount{.session = 2, .owner = 1};  // the same number means another owner

}  // namespace

TEST_CASE("locks exclude each other as Linux rules it", "[metaserver][locks]") {
  struct Case {
    const char* what;
    What held;
    What wanted;
    bool granted;
  };
  const What read{.type = wire::LOCK_TYPE_READ, .start = 10, .end = 19};
  const What write{.type = wire::LOCK_TYPE_WRITE, .start = 10, .end = 19};
  What ofd_write = write;
  ofd_write.kind = wire::LOCK_OFD;
  What before = write, over = write, other_file = write;
  before.start = 0, before.end = 9;
  over.start = 19, over.end = 100;
  other_file.ino = 8;
  const Case cases[] = {
      {"two readers", read, read, true},
      {"a writer after a reader", read, write, false},
      {"a reader after a writer", write, read, false},
      {"two writers", write, write, false},
      {"a writer beside", write, before, true},
      {"one byte in common", write, over, false},
      {"another file", write, other_file, true},
      {"a process and an open file description", write, ofd_write, false},
      {"an open file description and a process", ofd_write, read, false},
      {"fcntl and flock", write, Flock(wire::LOCK_TYPE_WRITE), true},
      {"flock and fcntl", Flock(wire::LOCK_TYPE_WRITE), write, true},
      {"flock shared twice", Flock(wire::LOCK_TYPE_READ), Flock(wire::LOCK_TYPE_READ), true},
      {"flock exclusive", Flock(wire::LOCK_TYPE_READ), Flock(wire::LOCK_TYPE_WRITE), false},
  };
  for (const Case& c : cases) {
    for (const Who& other : {kOtherProcess, kOtherMount}) {
      INFO(c.what << ", other session " << other.session);
      LocksFixture f;
      REQUIRE(f.Set(kMe, c.held) == 0);
      REQUIRE(f.Set(other, c.wanted) == (c.granted ? 0 : EAGAIN));
      REQUIRE(f.last.in_the_way.size() == (c.granted ? 0u : 1u));
      REQUIRE(f.Get(other, c.wanted)->conflict() == !c.granted);
    }
  }
}

TEST_CASE("an owner meets none of its own locks", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kMe, {.type = wire::LOCK_TYPE_WRITE, .start = 0, .end = 99}) == 0);
  REQUIRE(f.Set(kMe, {.type = wire::LOCK_TYPE_READ, .start = 10, .end = 19}) == 0);
  REQUIRE_FALSE(f.Get(kMe, {.type = wire::LOCK_TYPE_WRITE})->conflict());
  REQUIRE(f.Set(kOtherMount, {.type = wire::LOCK_TYPE_READ, .start = 10, .end = 19}) == 0);
  REQUIRE(f.Set(kMe, {.type = wire::LOCK_TYPE_WRITE, .start = 5, .end = 12}) == EAGAIN);
  REQUIRE_FALSE(
      f.IsFree({.type = wire::LOCK_TYPE_READ, .start = 5, .end = 9}));  // nothing was lost
  REQUIRE(f.table.CountsOf(SessionId(1)).locks == 3);
}

TEST_CASE("the lock in the way is told with its owner's process", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kMe, {.type = wire::LOCK_TYPE_READ, .start = 10, .end = 29}) == 0);
  REQUIRE(f.Set(kMe, {.type = wire::LOCK_TYPE_WRITE, .start = 30, .end = 39}) == 0);
  auto found = f.Get(kOtherMount, {.type = wire::LOCK_TYPE_READ, .start = 0, .end = 1000});
  REQUIRE(found->conflict());
  REQUIRE(found->remote());
  REQUIRE(found->lock().type() == wire::LOCK_TYPE_WRITE);
  REQUIRE(found->lock().start() == 30);
  REQUIRE(found->lock().end() == 39);
  REQUIRE(found->lock().pid() == 1001);
  REQUIRE_FALSE(f.Get(kOtherProcess, {.type = wire::LOCK_TYPE_WRITE})->remote());
}

TEST_CASE("a conversion by flock that fails loses the old lock", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kMe, Flock(wire::LOCK_TYPE_READ)) == 0);
  REQUIRE(f.Set(kMe, Flock(wire::LOCK_TYPE_WRITE)) == 0);  // alone: converted
  REQUIRE(f.Set(kMe, Flock(wire::LOCK_TYPE_READ)) == 0);
  REQUIRE(f.Set(kOtherMount, Flock(wire::LOCK_TYPE_READ)) == 0);
  REQUIRE(f.Set(kMe, Flock(wire::LOCK_TYPE_WRITE)) == EAGAIN);
  REQUIRE(f.table.CountsOf(SessionId(1)).locks == 0);
  REQUIRE(f.Set(kOtherMount, Flock(wire::LOCK_TYPE_WRITE)) == 0);
}

TEST_CASE("a close ends the fcntl locks of its process only", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kMe, {.start = 0, .end = 9}) == 0);
  REQUIRE(f.Set(kMe, Flock(wire::LOCK_TYPE_WRITE)) == 0);
  REQUIRE(f.Set(kOtherProcess, {.start = 10, .end = 19}) == 0);
  f.ReleaseOwner(kMe);
  REQUIRE(f.IsFree({.start = 0, .end = 9}));
  REQUIRE_FALSE(f.IsFree({.start = 10, .end = 19}));
  REQUIRE_FALSE(f.IsFree(Flock(wire::LOCK_TYPE_WRITE)));
}

TEST_CASE("the release of an open file ends what was locked through it", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(f.Set(kMe, {.start = 0, .end = 9, .kind = wire::LOCK_OFD, .handle = 50}) == 0);
  REQUIRE(f.Set(kMe, {.type = wire::LOCK_TYPE_WRITE, .kind = wire::LOCK_FLOCK, .handle = 50}) == 0);
  REQUIRE(f.Set(kOtherProcess, {.start = 10, .end = 19, .handle = 51}) == 0);
  REQUIRE(f.Set(kOtherMount, {.start = 20, .end = 29, .handle = 50}) == 0);
  f.ReleaseHandle(1, 50);
  REQUIRE(f.IsFree({.start = 0, .end = 9}));
  REQUIRE(f.IsFree(Flock(wire::LOCK_TYPE_WRITE)));
  REQUIRE_FALSE(f.IsFree({.start = 10, .end = 19}));
  REQUIRE_FALSE(f.IsFree({.start = 20, .end = 29}));
}

TEST_CASE("a session that holds too many locks gets ENOLCK and keeps them", "[metaserver][locks]") {
  LocksFixture f({.max_locks_per_session = 3});
  for (uint64_t at : {0, 10, 20}) REQUIRE(f.Set(kMe, {.start = at, .end = at + 4}) == 0);
  REQUIRE(f.Set(kMe, {.start = 30, .end = 34}) == ENOLCK);
  REQUIRE(f.Set(kMe, {.start = 0, .end = 9}) == 0);     // two become one
  REQUIRE(f.Unlock(kMe, {.start = 2, .end = 2}) == 0);  // and two again
  REQUIRE(f.Unlock(kMe, {.start = 22, .end = 22}) == ENOLCK);
  REQUIRE_FALSE(f.IsFree({.start = 22, .end = 22}));
  REQUIRE(f.Set(kOtherMount, {.start = 40, .end = 44}) == 0);
}

TEST_CASE("a repeated request gets its first answer", "[metaserver][locks]") {
  LocksFixture f;
  const auto lock = f.Request(kMe, {.start = 0, .end = 9});
  REQUIRE(f.Send(lock) == 0);
  REQUIRE(f.Send(lock) == 0);
  REQUIRE(f.Unlock(kMe) == 0);  // the same slot, so the first request is old now
  REQUIRE(f.Send(lock) != 0);
  REQUIRE(ReasonOf(f.last.status) == Reason::kOldSequence);
  REQUIRE(f.IsFree({}));
}

TEST_CASE("what no kernel asks is refused", "[metaserver][locks]") {
  LocksFixture f;
  REQUIRE(CheckLock(f.Lock(kMe, {})).ok());
  REQUIRE(ErrnoOf(CheckLock(f.Lock(kMe, {.start = 10, .end = 9}))) == EINVAL);
  REQUIRE(ErrnoOf(CheckLock(f.Lock(kMe, {.start = 0, .end = UINT64_MAX}))) == EINVAL);
  wire::FileLock lock = f.Lock(kMe, {});
  lock.set_type(static_cast<wire::LockType>(9));
  REQUIRE(ErrnoOf(CheckLock(lock)) == EINVAL);
}

}  // namespace penstock::metaserver
