#include "chunkserver/control/disk_watch.h"

#include <catch2/catch.hpp>
#include <cerrno>

#include "common/status.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/temp_dir.h"

namespace penstock::chunkserver {
namespace {

using Catch::Contains;

const absl::Duration kStart = absl::Seconds(100);

TEST_CASE("a disk that works is left alone", "[chunkserver][disk]") {
  DiskWatch watch;
  for (int i = 0; i < 100; ++i) REQUIRE(watch.Look({}, kStart + absl::Seconds(i)).empty());
}

TEST_CASE("every failure names what to do, and stays", "[chunkserver][disk]") {
  DiskSigns signs;
  std::string wanted;
  SECTION("its directory") {
    signs.place = "its directory /t1 is missing or empty";
    wanted = "bring its directory back";
  }
  SECTION("read-only") {
    signs.read_only = true;
    wanted = "mount it read-write";
  }
  SECTION("a sync") {
    signs.store = PosixError(EIO, "sync slab");
    wanted = "durable (sync slab)";
  }
  SECTION("the index") {
    signs.store = absl::DataLossError("the chunk index is damaged");
    wanted = "fetches what it lacks";
  }
  DiskWatch watch;
  const std::string failed = watch.Look(signs, kStart);
  REQUIRE_THAT(failed, Contains(wanted));
  REQUIRE_THAT(failed, Contains("restart the chunkserver"));
  REQUIRE(watch.Look({}, kStart + absl::Hours(1)) == failed);
}

TEST_CASE("I/O errors fail a disk only when there are many in a short time",
          "[chunkserver][disk]") {
  const DiskLimits limits{.io_errors = 10, .window = absl::Minutes(10)};
  DiskWatch slow(limits), fast(limits);
  for (uint64_t minute = 0; minute < 1000; ++minute) {
    const absl::Duration now = kStart + absl::Minutes(minute);
    REQUIRE(slow.Look({.store = {}, .place = {}, .io_errors = minute}, now).empty());
  }
  REQUIRE(fast.Look({.store = {}, .place = {}, .io_errors = 500}, kStart).empty());  // long ago
  REQUIRE(
      fast.Look({.store = {}, .place = {}, .io_errors = 510}, kStart + absl::Seconds(1)).empty());
  REQUIRE_THAT(fast.Look({.store = {}, .place = {}, .io_errors = 511}, kStart + absl::Seconds(2)),
               Contains("11 I/O errors"));
}

// The real file system, where something fails.
struct FailingFileSystem : penstock::testing::FaultyFileSystem {
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    if (open_errno != 0) return PosixError(open_errno, path);
    return FaultyFileSystem::Open(path, mode);
  }
  absl::StatusOr<bool> Exists(const std::string& path) override {
    if (look_errno != 0) return PosixError(look_errno, path);
    return FaultyFileSystem::Exists(path);
  }
  int open_errno = 0;
  int look_errno = 0;
};

TEST_CASE("a file system that takes no file is told to be read-only only for that reason",
          "[chunkserver][disk]") {
  FailingFileSystem fs;
  penstock::testing::FakeClock clock;
  Target target(&clock);
  target.dir = "/t";
  REQUIRE(!IsReadOnly(target, &fs));
  REQUIRE(!IsReadOnly(target, &fs));  // the file is there
  for (int err : {EROFS, EMFILE, EIO, ENOSPC}) {
    fs.open_errno = err;
    REQUIRE(IsReadOnly(target, &fs) == (err == EROFS));
  }
}

TEST_CASE("a server without descriptors takes no disk for failed", "[chunkserver][disk]") {
  FailingFileSystem fs;
  penstock::testing::FakeClock clock;
  penstock::testing::TempDir dir;
  Target target(&clock);
  target.path = target.dir = dir.path() + "/t";
  ChunkStoreOptions options;
  options.dir = target.dir;
  options.cluster_id = "c";
  REQUIRE(ChunkStore::Format(target.dir, {"c", "uuid", TargetId(1)}, PosixFileSystem()).ok());
  auto store = ChunkStore::Open(options, "boot", PosixFileSystem(), SystemClock());
  REQUIRE(store.ok());
  target.store = *std::move(store);
  for (int err : {EMFILE, ENFILE, ENOMEM}) {
    fs.look_errno = err;
    REQUIRE(!LookAtDisk(target, &fs).place_unread);
  }
  fs.look_errno = EIO;
  REQUIRE(LookAtDisk(target, &fs).place_unread);
}

TEST_CASE("a directory that cannot be looked at fails after some looks in a row",
          "[chunkserver][disk]") {
  DiskWatch watch({.unread_looks = 3});
  DiskSigns unread;
  unread.place_unread = true;
  for (int i = 0; i < 2; ++i) REQUIRE(watch.Look(unread, kStart).empty());
  REQUIRE(watch.Look({}, kStart).empty());
  for (int i = 0; i < 2; ++i) REQUIRE(watch.Look(unread, kStart).empty());
  REQUIRE_THAT(watch.Look(unread, kStart), Contains("cannot be read"));
}

}  // namespace
}  // namespace penstock::chunkserver
