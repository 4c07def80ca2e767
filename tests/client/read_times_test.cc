#include "client/read_times.h"

#include <catch2/catch.hpp>

#include "tests/client/fake_meta.h"

namespace penstock::client {
namespace {

struct Fixture {
  explicit Fixture(AtimeRule rule = AtimeRule::kRelatime) : times(Calls(), rule) {
    meta.MakeFile(5);
    SetTimes(1000, 2000);
    inode->Pin();
    Learn();
    times.Start();
  }
  ReadTimes::Calls Calls() {
    return {.get = [this](InodeNumber ino, const OpContext& op) -> absl::StatusOr<wire::Entry> {
              wire::GetattrRequest request;
              request.set_ino(ino.value());
              ASSIGN_OR_RETURN(wire::EntryResponse response,
                               meta.Query<wire::EntryResponse>(wire::METHOD_GETATTR, request, op));
              return response.entry();
            },
            .set = [this](const wire::SetattrRequest& request,
                          const OpContext& op) -> absl::StatusOr<wire::Entry> {
              ASSIGN_OR_RETURN(
                  wire::SetattrResponse response,
                  meta.Mutate<wire::SetattrResponse>(wire::METHOD_SETATTR, request, op));
              return response.entry();
            }};
  }
  void SetTimes(int64_t atime, int64_t mtime) {
    meta.Change(5, [&](wire::Entry& e) {
      e.mutable_attr()->clear_atime();
      e.mutable_attr()->mutable_atime()->set_seconds(atime);
      e.mutable_attr()->mutable_mtime()->set_seconds(mtime);
      e.mutable_attr()->mutable_ctime()->set_seconds(mtime);
    });
  }
  void Learn() {
    absl::MutexLock lock(&inode->mu);
    inode->Absorb(meta.File(5));
  }
  absl::Time Shown() {
    absl::MutexLock lock(&inode->mu);
    return FromWireTime(inode->Merged().attr().atime());
  }
  void WaitUntilSent() {
    absl::MutexLock lock(&inode->mu);
    auto idle = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !inode->unsent_read.queued; };
    REQUIRE(inode->mu.AwaitWithTimeout(absl::Condition(&idle), absl::Seconds(10)));
  }
  int calls() { return meta.calls(wire::METHOD_SETATTR); }

  FakeMeta meta;
  ReadTimes times;
  std::shared_ptr<Inode> inode = std::make_shared<Inode>(InodeNumber(5));
};

TEST_CASE("the first read after a change moves atime, the next ones do not",
          "[client][read_times]") {
  Fixture f;
  const absl::Time began = absl::Now();
  f.times.NoteRead(f.inode);
  REQUIRE(f.Shown() >= began);  // at once
  for (int i = 0; i < 100; ++i) f.times.NoteRead(f.inode);
  f.WaitUntilSent();
  for (int i = 0; i < 100; ++i) f.times.NoteRead(f.inode);
  f.WaitUntilSent();
  REQUIRE(f.calls() == 1);
  REQUIRE(FromWireTime(f.meta.File(5).attr().atime()) == f.Shown());
  REQUIRE(f.Shown() >= began);
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  f.SetTimes(now - 3600, now - 7200);  // read since, and today
  f.Learn();
  f.times.NoteRead(f.inode);
  REQUIRE(f.calls() == 1);
  f.SetTimes(now - 25 * 3600, now - 30 * 3600);  // not today
  f.Learn();
  f.times.NoteRead(f.inode);
  f.WaitUntilSent();
  REQUIRE(f.calls() == 2);
}

TEST_CASE("a change in the future does not make every read due", "[client][read_times]") {
  Fixture f;
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  f.SetTimes(now - 3600, now + 10'000);
  f.Learn();
  f.times.NoteRead(f.inode);
  f.WaitUntilSent();
  REQUIRE(f.calls() == 0);
}

TEST_CASE("strictatime takes every read, noatime none", "[client][read_times]") {
  Fixture strict(AtimeRule::kAlways);
  for (int i = 1; i <= 3; ++i) {
    strict.times.NoteRead(strict.inode);
    strict.WaitUntilSent();
    REQUIRE(strict.calls() == i);
  }
  Fixture never(AtimeRule::kNever);
  never.times.NoteRead(never.inode);
  REQUIRE(never.Shown() == absl::FromUnixSeconds(1000));
  never.times.Stop();
  REQUIRE(never.calls() == 0);
}

TEST_CASE("of an inode that nobody asked for the record is fetched first", "[client][read_times]") {
  Fixture f;
  f.inode = std::make_shared<Inode>(InodeNumber(5));
  f.times.NoteRead(f.inode);
  f.WaitUntilSent();
  REQUIRE(f.meta.calls(wire::METHOD_GETATTR) == 1);
  REQUIRE(f.calls() == 1);
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  f.SetTimes(now - 10, now - 20);
  f.inode = std::make_shared<Inode>(InodeNumber(5));
  f.times.NoteRead(f.inode);
  f.WaitUntilSent();
  REQUIRE(f.meta.calls(wire::METHOD_GETATTR) == 2);
  REQUIRE(f.calls() == 1);  // not due
}

TEST_CASE("a read that could not be told is due again", "[client][read_times]") {
  Fixture f;
  f.meta.read_time_error = PosixError(EIO, "no server");
  f.times.NoteRead(f.inode);
  f.WaitUntilSent();
  REQUIRE(f.Shown() == absl::FromUnixSeconds(1000));
  f.meta.read_time_error = absl::OkStatus();
  f.times.NoteRead(f.inode);
  f.WaitUntilSent();
  REQUIRE(f.calls() == 2);
  REQUIRE(f.Shown() > absl::FromUnixSeconds(2000));
}

TEST_CASE("an atime that is set outlives the reads before it", "[client][read_times]") {
  Fixture f;
  f.times.NoteRead(f.inode);
  REQUIRE(f.times.Forget(*f.inode, OpContext{}).ok());
  f.SetTimes(500, 2000);  // as utimensat() would, once no read is under way
  f.Learn();
  REQUIRE(f.Shown() == absl::FromUnixSeconds(500));
  f.WaitUntilSent();
  REQUIRE(f.meta.File(5).attr().atime().seconds() == 500);
}

TEST_CASE("a read before a write that is not published yet counts", "[client][read_times]") {
  Fixture f;
  f.times.NoteRead(f.inode);
  const absl::Time read = f.Shown();
  f.WaitUntilSent();
  absl::MutexLock lock(&f.inode->mu);
  f.inode->writes = 1;  // dirty
  f.inode->local_mtime = absl::Now() + absl::Seconds(1);
  REQUIRE(FromWireTime(f.inode->Merged().attr().atime()) == read);
}

}  // namespace
}  // namespace penstock::client
