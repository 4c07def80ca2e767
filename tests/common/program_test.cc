#include "common/program.h"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <set>

#include "common/units.h"

using namespace penstock;

TEST_CASE("sizes are read with and without units", "[common][program]") {
  uint64_t bytes = 0;
  REQUIRE(ParseBytes("4096", &bytes));
  REQUIRE(bytes == 4096);
  REQUIRE(ParseBytes("64KiB", &bytes));
  REQUIRE(bytes == 64 * kKiB);
  REQUIRE(ParseBytes("2G", &bytes));
  REQUIRE(bytes == 2 * kGiB);
  for (const char* wrong : {"", "x", "-1", "1.5G", "16777216TiB", "G"}) {
    REQUIRE_FALSE(ParseBytes(wrong, &bytes));
  }
  for (uint64_t size :
       {uint64_t{0}, uint64_t{1536}, 64 * kMiB, 1536 * kMiB, 3 * kTiB, ~uint64_t{0}}) {
    REQUIRE(ParseBytes(FormatBytes(size), &bytes));
    REQUIRE(bytes == size);
  }
  REQUIRE(FormatBytes(1536 * kMiB) == "1536MiB");
  REQUIRE(FormatBytes(0) == "0B");
}

TEST_CASE("flags take durations and sizes, and a config file sets them", "[common][program]") {
  CLI::App app;
  SetUpProgram(app, "test");
  absl::Duration wait = absl::Seconds(10);
  uint64_t size = kMiB;
  AddDuration(app, "--wait", wait, "how long");
  AddBytes(app, "--size", size, "how much");
  REQUIRE(app.help().find("10s") != std::string::npos);
  app.parse("--wait 250ms --size 3KiB");
  REQUIRE(wait == absl::Milliseconds(250));
  REQUIRE(size == 3 * kKiB);
  REQUIRE_THROWS_AS(app.parse("--wait fast"), CLI::ParseError);
  REQUIRE_THROWS_AS(app.parse("--size many"), CLI::ParseError);
}

TEST_CASE("a setting that a config file misspells is an error", "[common][program]") {
  CLI::App app;
  SetUpProgram(app, "test");
  std::string dir;
  app.add_option("--dir", dir);
  const std::string file = "/tmp/penstock-program-test.conf";
  std::ofstream(file) << "dir = \"x\"\n";
  app.parse("--config " + file);
  REQUIRE(dir == "x");
  std::ofstream(file) << "dri = \"x\"\n";
  REQUIRE_THROWS_AS(app.parse("--config " + file), CLI::ParseError);
  std::filesystem::remove(file);
}

TEST_CASE("uuids are random and of version 4", "[common][program]") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    std::string id = NewUuid();
    REQUIRE(id.size() == 36);
    REQUIRE(id[14] == '4');
    REQUIRE(seen.insert(id).second);
  }
}
