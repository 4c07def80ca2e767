#include "client/directory_reader.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "tests/client/fake_meta.h"

namespace penstock::client {
namespace {

struct Fixture {
  FakeMeta meta;
  InodeTable inodes{10};
  EntryCache cache{1 << 20, SystemClock()};
  DirectoryReader reader{&meta, &inodes, &cache, InodeNumber(9)};
  Fixture() {
    for (int i = 0; i < 23; ++i) meta.names.push_back("name" + std::to_string(100 + i));
  }
  // Reads `step` entries at a time, as the kernel does with small buffers.
  std::vector<std::string> ListAll(size_t step) {
    std::vector<std::string> names;
    uint64_t cookie = 0;
    while (true) {
      auto entries = reader.After(cookie, false, OpContext{});
      REQUIRE(entries.ok());
      if (entries->empty()) return names;
      for (size_t i = 0; i < std::min(step, entries->size()); ++i) {
        names.push_back((*entries)[i].name);
        cookie = (*entries)[i].cookie;
      }
    }
  }
};

TEST_CASE("a listing has every name once, with . and ..", "[client][directory_reader]") {
  Fixture f;
  std::vector<std::string> expected{".", ".."};
  expected.insert(expected.end(), f.meta.names.begin(), f.meta.names.end());
  for (size_t step : {1, 2, 3, 100}) REQUIRE(f.ListAll(step) == expected);
}

TEST_CASE("a listing goes on after names that were removed meanwhile",
          "[client][directory_reader]") {
  Fixture f;
  std::set<std::string> seen;
  uint64_t cookie = 0;
  while (true) {
    auto entries = f.reader.After(cookie, false, OpContext{});
    REQUIRE(entries.ok());
    if (entries->empty()) break;
    for (const ListedEntry& e : *entries) {
      seen.insert(e.name);
      cookie = e.cookie;
      std::erase(f.meta.names, e.name);  // rm -rf
    }
  }
  REQUIRE(seen.size() == 25);
}

TEST_CASE("any cookie given out before leads back to its place", "[client][directory_reader]") {
  Fixture f;
  f.ListAll(100);
  const uint64_t cookie = NameCookie("name107");
  auto entries = f.reader.After(cookie, false, OpContext{});
  REQUIRE(entries.ok());
  REQUIRE(entries->front().name == "name108");
}

TEST_CASE("a cookie keeps its place when its name and those around it are removed",
          "[client][directory_reader]") {
  Fixture f;
  for (int i = 0; i < 2000; ++i) f.meta.names.push_back("p" + std::to_string(10000 + i));
  REQUIRE(f.ListAll(5000).size() == 2025);
  std::vector<std::string> left;
  for (size_t i = 0; i < f.meta.names.size(); i += 3) left.push_back(f.meta.names[i]);
  const std::vector<std::string> all = f.meta.names;
  f.meta.names = left;
  for (size_t i : {size_t{1}, size_t{500}, size_t{700}, size_t{1900}, all.size() - 2}) {
    auto entries = f.reader.After(NameCookie(all[i]), false, OpContext{});
    REQUIRE(entries.ok());
    auto next = std::upper_bound(left.begin(), left.end(), all[i]);
    REQUIRE(entries->empty() == (next == left.end()));
    if (!entries->empty()) REQUIRE(entries->front().name == *next);
  }
}

TEST_CASE("cookies are positive, stable and leave room for the dots",
          "[client][directory_reader]") {
  REQUIRE(NameCookie("a") == NameCookie("a"));
  REQUIRE(NameCookie("a") != NameCookie("b"));
  for (int i = 0; i < 1000; ++i) {
    const uint64_t cookie = NameCookie(std::to_string(i));
    REQUIRE(cookie >= kFirstNameCookie);
    REQUIRE(cookie < uint64_t{1} << 63);
  }
}

}  // namespace
}  // namespace penstock::client
