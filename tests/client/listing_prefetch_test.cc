#include "client/listing_prefetch.h"

#include <absl/time/clock.h>

#include <catch2/catch.hpp>

#include "tests/client/fake_meta.h"

namespace penstock::client {
namespace {

struct Fixture {
  explicit Fixture(int entries) {
    for (int i = 0; i < entries; ++i) meta.names.push_back(std::to_string(1'000'000 + i));
    prefetch.Start();
  }
  ~Fixture() { prefetch.Stop(); }
  void Unknown(uint64_t times) {
    for (uint64_t i = 0; i < times; ++i) prefetch.NoteUnknown(InodeNumber(9), OpContext{});
  }
  int Pages() { return meta.calls(wire::METHOD_READDIR); }
  void WaitForPages(int pages) {
    const absl::Time until = absl::Now() + absl::Seconds(10);
    while (Pages() < pages && absl::Now() < until) absl::SleepFor(absl::Milliseconds(1));
    REQUIRE(Pages() == pages);
  }

  FakeMeta meta;
  InodeTable inodes{10};
  EntryCache cache{1 << 20, SystemClock()};
  ListingPrefetch prefetch{[this](InodeNumber ino) {
    return std::make_unique<DirectoryReader>(&meta, &inodes, &cache, ino);
  }};
};

TEST_CASE("the third unknown name has the listing read", "[client][listing_prefetch]") {
  Fixture f(1000);
  f.Unknown(ListingPrefetch::kLookups - 1);
  f.prefetch.NoteUnknown(InodeNumber(10), OpContext{});  // of another directory
  REQUIRE(f.Pages() == 0);
  f.Unknown(1);
  f.WaitForPages(1000 / FakeMeta::kNamesAPage);
}

TEST_CASE("of a large directory only a part is read, and not soon again",
          "[client][listing_prefetch]") {
  Fixture f(11'000);
  constexpr int kPages = ListingPrefetch::kMaxEntries / FakeMeta::kNamesAPage;
  f.Unknown(ListingPrefetch::kLookups);
  f.WaitForPages(kPages);
  for (int i = 0; i < 50; ++i) {  // while it is noted as read, and then
    f.Unknown(ListingPrefetch::kLookups);
    absl::SleepFor(absl::Milliseconds(1));
  }
  f.prefetch.Stop();
  REQUIRE(f.Pages() == kPages);
}

}  // namespace
}  // namespace penstock::client
