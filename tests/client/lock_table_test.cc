// What a mount knows of its locks, and which closes have to tell the metaserver.
#include "client/lock_table.h"

#include <catch2/catch.hpp>
#include <thread>

#include "tests/testing/fake_clock.h"

namespace penstock::client {
namespace {

using Outcome = LockTable::Outcome;
constexpr InodeNumber kFile(7);

wire::FileLock Lock(uint64_t owner, wire::LockType type, uint64_t start = 0, uint64_t end = 99) {
  wire::FileLock lock;
  lock.set_ino(kFile.value());
  lock.set_type(type);
  lock.set_owner(owner);
  lock.set_handle(owner + 1000);
  lock.set_start(start);
  lock.set_end(end);
  return lock;
}

void Do(LockTable& table, const wire::FileLock& lock, Outcome outcome = Outcome::kDone) {
  table.Begin(lock);
  table.End(lock, outcome);
}

int Presented(const LockTable& table) {
  wire::SessionHeartbeatRequest report;
  table.AddTo(&report);
  return report.locks_size();
}

}  // namespace

TEST_CASE("only closes of files that are locked cost a call", "[client][locks]") {
  testing::FakeClock clock;
  LockTable table(&clock);
  REQUIRE(table.OfOwner(kFile, 1).empty());
  Do(table, Lock(1, wire::LOCK_TYPE_WRITE));
  REQUIRE(table.OfOwner(kFile, 2).empty());
  REQUIRE(table.OfOwner(InodeNumber(8), 1).empty());
  REQUIRE(table.OfHandle(kFile, 1002).empty());
  REQUIRE(table.OfHandle(kFile, 1001).size() == 1);
  REQUIRE(table.OfOwner(kFile, 1).size() == 1);
  table.Released(table.OfOwner(kFile, 1));
  REQUIRE(table.OfOwner(kFile, 1).empty());
  REQUIRE(table.size() == 0);
  Do(table, Lock(1, wire::LOCK_TYPE_WRITE));
  Do(table, Lock(1, wire::LOCK_TYPE_NONE));
  REQUIRE(table.size() == 0);  // unlocked: nothing left to tell
  Do(table, Lock(1, wire::LOCK_TYPE_WRITE), Outcome::kRefused);
  REQUIRE(table.size() == 0);
}

TEST_CASE("the locks of flock are no process's, and end with the open file", "[client][locks]") {
  testing::FakeClock clock;
  LockTable table(&clock);
  wire::FileLock lock = Lock(1, wire::LOCK_TYPE_WRITE);
  lock.set_kind(wire::LOCK_FLOCK);
  Do(table, lock);
  REQUIRE(table.OfOwner(kFile, 1).empty());
  REQUIRE(table.OfHandle(kFile, 1001).size() == 1);
  Do(table, lock, Outcome::kRefused);  // a conversion that failed: flock(2) has lost the lock
  REQUIRE(table.size() == 0);
}

TEST_CASE("what is not certain is told at the next close", "[client][locks]") {
  testing::FakeClock clock;
  LockTable table(&clock);
  SECTION("a request without an answer") {
    Do(table, Lock(1, wire::LOCK_TYPE_WRITE), Outcome::kUnknown);
  }
  SECTION("two requests at once") {
    table.Begin(Lock(1, wire::LOCK_TYPE_WRITE));
    table.Begin(Lock(1, wire::LOCK_TYPE_NONE));
    table.End(Lock(1, wire::LOCK_TYPE_WRITE), Outcome::kDone);
    table.End(Lock(1, wire::LOCK_TYPE_NONE), Outcome::kDone);
  }
  SECTION("a grant that nobody heard of") { table.Doubt(Lock(1, wire::LOCK_TYPE_WRITE)); }
  REQUIRE(Presented(table) == 0);
  REQUIRE(table.OfOwner(kFile, 1).size() == 1);
}

TEST_CASE("what was locked during a release stays", "[client][locks]") {
  testing::FakeClock clock;
  LockTable table(&clock);
  Do(table, Lock(1, wire::LOCK_TYPE_WRITE));
  const auto releasing = table.OfOwner(kFile, 1);
  Do(table, Lock(1, wire::LOCK_TYPE_READ));
  table.Released(releasing);
  REQUIRE(Presented(table) == 1);
  REQUIRE(table.OfOwner(kFile, 1).size() == 1);
}

TEST_CASE("a request without an answer leaves no more than both outcomes have", "[client][locks]") {
  testing::FakeClock clock;
  LockTable table(&clock);
  Do(table, Lock(1, wire::LOCK_TYPE_WRITE, 0, 9));
  Do(table, Lock(1, wire::LOCK_TYPE_READ, 5, 19), Outcome::kUnknown);
  const auto pieces = table.Pieces(Lock(1, wire::LOCK_TYPE_READ, 0, 19));
  REQUIRE(pieces.size() == 3);
  REQUIRE(pieces[0].type() == wire::LOCK_TYPE_WRITE);
  REQUIRE(pieces[0].end() == 4);
  REQUIRE(pieces[1].type() == wire::LOCK_TYPE_READ);
  REQUIRE(pieces[1].end() == 9);
  REQUIRE(pieces[2].type() == wire::LOCK_TYPE_NONE);
  REQUIRE(pieces[2].end() == 19);
}

TEST_CASE("a lost session takes all locks", "[client][locks]") {
  testing::FakeClock clock;
  LockTable table(&clock);
  Do(table, Lock(1, wire::LOCK_TYPE_WRITE, 0, 9));
  Do(table, Lock(1, wire::LOCK_TYPE_READ, 20, 29));
  REQUIRE(Presented(table) == 2);
  const auto forgotten = table.Forget();
  REQUIRE(forgotten.size() == 1);
  REQUIRE(forgotten[0].type() == wire::LOCK_TYPE_NONE);
  REQUIRE(table.losses() == 1);
  REQUIRE(Presented(table) == 0);
  REQUIRE(table.OfOwner(kFile, 1).empty());
}

TEST_CASE("a lock whose open file was closed just now is waited for", "[client][locks]") {
  testing::FakeClock clock;
  LockTable table(&clock);
  Do(table, Lock(1, wire::LOCK_TYPE_WRITE));
  const wire::FileLock wanted = Lock(2, wire::LOCK_TYPE_READ, 50, 60);
  REQUIRE_FALSE(table.AwaitDeparture(wanted));  // nobody closed anything
  table.NoteClose(kFile, 1001);
  std::thread release([&] { table.Released(table.OfHandle(kFile, 1001)); });
  REQUIRE(table.AwaitDeparture(wanted));
  release.join();
  REQUIRE_FALSE(table.AwaitDeparture(wanted));
}

TEST_CASE("a lock whose process is gone is waited for once", "[client][locks]") {
  testing::FakeClock clock;
  LockTable table(&clock);
  wire::FileLock lock = Lock(1, wire::LOCK_TYPE_WRITE);
  lock.set_pid(INT32_MAX);  // no process has this number
  Do(table, lock);
  const wire::FileLock wanted = Lock(2, wire::LOCK_TYPE_READ);
  REQUIRE(table.AwaitDeparture(wanted));
  REQUIRE_FALSE(table.AwaitDeparture(wanted));
}

}  // namespace penstock::client
