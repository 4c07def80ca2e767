#include "client/entry_cache.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/testing/fake_clock.h"

namespace penstock::client {
namespace {

constexpr InodeNumber kDir(100);
constexpr InodeNumber kFile(7);

wire::Entry Record(uint64_t ino, uint64_t lease, uint32_t mode = S_IFREG | 0644) {
  wire::Entry entry;
  entry.mutable_attr()->set_ino(ino);
  entry.mutable_attr()->set_mode(mode);
  entry.set_leased_by(lease);
  return entry;
}

struct Fixture {
  Fixture() { cache.SetValidUntil(clock.SinceBoot() + absl::Seconds(9)); }
  void Learn(const std::string& name, uint64_t ino) {
    const uint64_t token = cache.token();
    REQUIRE(cache.StoreRecord(token, Record(ino, kDir.value())));
    REQUIRE(cache.StoreName(token, kDir, {name, InodeNumber(ino), S_IFREG}));
  }
  EntryCache::Name Look(std::string_view name) {
    wire::Entry entry;
    return cache.Lookup(kDir, name, &entry);
  }
  void LearnListing(std::vector<std::pair<std::string, uint64_t>> names) {
    LearnListing(std::move(names), cache.token());
  }
  void LearnListing(std::vector<std::pair<std::string, uint64_t>> names, uint64_t token) {
    wire::ReaddirRequest request;
    request.set_ino(kDir.value());
    wire::ReaddirResponse response;
    response.set_end(true);
    response.set_names_leased(true);
    for (const auto& [name, ino] : names) {
      wire::DirectoryEntry* entry = response.add_entries();
      entry->set_name(name);
      entry->set_ino(ino);
      entry->set_type(S_IFREG);
      *entry->mutable_entry() = Record(ino, kDir.value());
    }
    cache.StorePage(token, request, response);
  }
  testing::FakeClock clock;
  EntryCache cache{1 << 20, &clock};
};

using Name = EntryCache::Name;

TEST_CASE("a learned name is given until the lease's time is over", "[client][entry_cache]") {
  Fixture f;
  REQUIRE(f.Look("f") == Name::kUnknown);
  f.Learn("f", 7);
  REQUIRE(f.Look("f") == Name::kHere);
  REQUIRE(f.cache.Record(kFile).has_value());
  f.clock.Advance(absl::Seconds(9));
  REQUIRE(f.Look("f") == Name::kUnknown);
  REQUIRE_FALSE(f.cache.Record(kFile).has_value());
}

TEST_CASE("what is dropped is unknown, and so is an answer that the drop overtook",
          "[client][entry_cache]") {
  Fixture f;
  f.Learn("f", 7);
  const uint64_t before = f.cache.token();
  f.cache.DropName(kDir, "f");
  REQUIRE(f.Look("f") == Name::kUnknown);
  REQUIRE_FALSE(f.cache.StoreName(before, kDir, {"f", kFile, S_IFREG}));
  f.cache.DropRecord(kFile);
  REQUIRE_FALSE(f.cache.StoreRecord(before, Record(7, kDir.value())));
  REQUIRE_FALSE(f.cache.StoreAbsent(before, kDir, "f"));
  f.Learn("f", 7);  // asked anew
  REQUIRE(f.Look("f") == Name::kHere);
}

TEST_CASE("a whole listing knows what is absent", "[client][entry_cache]") {
  Fixture f;
  f.LearnListing({{"a", 1}, {"b", 2}});
  REQUIRE(f.Look("a") == Name::kHere);
  REQUIRE(f.Look("c") == Name::kAbsent);
  REQUIRE(f.cache.ListAfter(kDir, "a", 10)->names.size() == 1);
  f.cache.DropName(kDir, "c");  // somebody makes it
  REQUIRE(f.Look("c") == Name::kUnknown);
  REQUIRE(f.Look("d") == Name::kAbsent);
  REQUIRE_FALSE(f.cache.ListAfter(kDir, "", 10).has_value());
}

TEST_CASE("a name made elsewhere while a listing came is not taken for absent",
          "[client][entry_cache]") {
  Fixture f;
  wire::ReaddirRequest request;
  request.set_ino(kDir.value());
  wire::ReaddirResponse response;
  response.set_end(true);
  response.set_names_leased(true);
  const uint64_t token = f.cache.token();
  f.cache.DropName(kDir, "new");
  f.cache.StorePage(token, request, response);
  REQUIRE(f.Look("new") == Name::kUnknown);
}

// Drops are remembered by a few thousand stripes, which different things share.
TEST_CASE("no name of a whole listing is taken for absent, whatever else was dropped",
          "[client][entry_cache]") {
  Fixture f;
  std::vector<std::pair<std::string, uint64_t>> names;
  for (uint64_t i = 1; i <= 50; ++i) names.emplace_back("n" + std::to_string(i), i);
  for (uint64_t ino = 1000; ino < 6000; ++ino) {
    f.cache.DropAll();
    const uint64_t token = f.cache.token();
    f.cache.DropRecord(InodeNumber(ino));
    f.LearnListing(names, token);
    for (const auto& [name, number] : names) {
      if (f.Look(name) == Name::kAbsent) FAIL(name << " is absent after a drop of " << ino);
    }
  }
}

TEST_CASE("during an own change its names are neither given nor kept", "[client][entry_cache]") {
  Fixture f;
  f.LearnListing({{"a", 1}});
  {
    CacheChange change(&f.cache, {{kDir, "new"}}, {kDir});
    REQUIRE(f.Look("new") == Name::kUnknown);
    REQUIRE(f.Look("a") == Name::kHere);
    REQUIRE_FALSE(f.cache.StoreAbsent(f.cache.token(), kDir, "new"));
    REQUIRE_FALSE(f.cache.ListAfter(kDir, "", 10).has_value());
    change.IsHere(0, InodeNumber(9), S_IFREG);
    change.IsNow(Record(9, kDir.value()));
  }
  REQUIRE(f.Look("new") == Name::kHere);
  REQUIRE(f.cache.ListAfter(kDir, "", 10)->names.size() == 2);
}

TEST_CASE("an own change that another one's followed at once is not taken for the newest",
          "[client][entry_cache]") {
  Fixture f;
  f.LearnListing({});
  {
    CacheChange change(&f.cache, {{kDir, "new"}}, {kDir});
    f.cache.DropName(kDir, "new");  // made here, and removed elsewhere before the answer came
    change.IsHere(0, InodeNumber(9), S_IFREG);
  }
  REQUIRE(f.Look("new") == Name::kUnknown);
}

TEST_CASE("a change whose outcome nobody knows leaves its names unknown", "[client][entry_cache]") {
  Fixture f;
  f.LearnListing({{"a", 1}});
  { CacheChange change(&f.cache, {{kDir, "a"}}, {kDir, InodeNumber(1)}); }
  REQUIRE(f.Look("a") == Name::kUnknown);
  REQUIRE_FALSE(f.cache.Record(InodeNumber(1)).has_value());
}

TEST_CASE("a revoked lease is not used before the metaserver has taken it back",
          "[client][entry_cache]") {
  Fixture f;
  f.Learn("f", 7);
  const uint64_t before = f.cache.token();
  EntryCache::Dropped dropped = f.cache.Revoke(kDir);
  REQUIRE(dropped.records == std::vector<InodeNumber>{kFile});
  REQUIRE(f.Look("f") == Name::kUnknown);
  REQUIRE_FALSE(f.cache.StoreName(f.cache.token(), kDir, {"f", kFile, S_IFREG}));
  f.cache.FinishRelease(dropped.leases);
  REQUIRE_FALSE(f.cache.StoreName(before, kDir, {"f", kFile, S_IFREG}));
  f.Learn("f", 7);
}

TEST_CASE("a listing that a revocation overtook brings no lease back", "[client][entry_cache]") {
  Fixture f;
  f.Learn("f", 7);
  wire::ReaddirRequest request;
  request.set_ino(kDir.value());
  wire::ReaddirResponse response;
  response.set_names_leased(true);
  response.set_end(true);
  const uint64_t before = f.cache.token();
  const bool all = GENERATE(false, true);
  if (all) {
    f.cache.DropAll();
  } else {
    f.cache.Revoke(kDir);
    f.cache.FinishRelease({kDir});
  }
  f.cache.StorePage(before, request, response);
  REQUIRE(f.cache.lease_count() == 0);
  {
    // Nobody will say what becomes of a name that this mount makes now.
    CacheChange change(&f.cache, {{kDir, "g"}}, {kDir});
    change.IsHere(0, InodeNumber(8), S_IFDIR);
  }
  REQUIRE(f.Look("g") == Name::kUnknown);
}

TEST_CASE("a lease revoked twice is used only after both were answered", "[client][entry_cache]") {
  Fixture f;
  f.Learn("f", 7);
  f.cache.Revoke(kDir);
  f.cache.Revoke(kDir);
  f.cache.FinishRelease({kDir});
  REQUIRE_FALSE(f.cache.StoreName(f.cache.token(), kDir, {"f", kFile, S_IFREG}));
  f.cache.FinishRelease({kDir});
  f.Learn("f", 7);
  REQUIRE(f.Look("f") == Name::kHere);
}

TEST_CASE("memory is bounded: the least used leases go and are told", "[client][entry_cache]") {
  testing::FakeClock clock;
  EntryCache cache(100'000, &clock);
  cache.SetValidUntil(clock.SinceBoot() + absl::Seconds(9));
  for (uint64_t dir = 1; dir <= 1000; ++dir) {
    for (uint64_t i = 0; i < 10; ++i) {
      cache.StoreRecord(cache.token(), Record(dir * 100 + i, dir));
      cache.StoreName(cache.token(), InodeNumber(dir),
                      {"file" + std::to_string(i), InodeNumber(dir * 100 + i), S_IFREG});
    }
    REQUIRE(cache.bytes() < 110'000);
  }
  const EntryCache::Dropped gone = cache.TakeReleases();
  REQUIRE(gone.leases.size() > 900);
  REQUIRE(gone.records.size() > 9000);
  REQUIRE(cache.Record(InodeNumber(100'009)).has_value());  // the newest is here
}

TEST_CASE("after everything was dropped no earlier answer is kept", "[client][entry_cache]") {
  Fixture f;
  f.Learn("f", 7);
  const uint64_t before = f.cache.token();
  f.cache.DropAll();
  REQUIRE(f.Look("f") == Name::kUnknown);
  REQUIRE_FALSE(f.cache.StoreRecord(before, Record(7, kDir.value())));
  REQUIRE(f.cache.bytes() == 0);
}

}  // namespace
}  // namespace penstock::client
