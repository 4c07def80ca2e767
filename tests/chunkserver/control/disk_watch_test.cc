#include "chunkserver/control/disk_watch.h"

#include <catch2/catch.hpp>

#include "common/status.h"

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
