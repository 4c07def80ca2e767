#include "cli/paths.h"

#include <catch2/catch.hpp>

namespace penstock::cli {

TEST_CASE("a path in a command is quoted when a shell wants it", "[cli][paths]") {
  REQUIRE(ShellWord("/var/tmp/p1") == "/var/tmp/p1");
  REQUIRE(ShellWord("/data/\xc3\xbc") == "/data/\xc3\xbc");
  REQUIRE(ShellWord("/my data") == "'/my data'");
  REQUIRE(ShellWord("/it's") == "'/it'\\''s'");
  REQUIRE(ShellWord("/a$b") == "'/a$b'");
  REQUIRE(ShellWord("~") == "'~'");
  REQUIRE(ShellWord("") == "''");
}

TEST_CASE("a mountpoint as one file name", "[cli][paths]") {
  REQUIRE(EscapePath("/mnt/datasets") == "mnt+datasets");
  REQUIRE(EscapePath("/") == "+");
  REQUIRE(EscapePath("/a b+c") == "a\\x20b\\x2bc");
  const std::string deep(300, 'x');
  REQUIRE(EscapePath("/" + deep + "1").size() < 200);
  REQUIRE(EscapePath("/" + deep + "1") != EscapePath("/" + deep + "2"));
}

}  // namespace penstock::cli
