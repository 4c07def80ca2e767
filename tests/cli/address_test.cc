#include "cli/address.h"

#include <catch2/catch.hpp>

namespace penstock::cli {

TEST_CASE("an address is HOST[:PORT] or [IPV6][:PORT]", "[cli][address]") {
  REQUIRE(*ParseHostPort("node7") == HostPort{"node7", 7400});
  REQUIRE(*ParseHostPort("10.0.0.1:7500") == HostPort{"10.0.0.1", 7500});
  REQUIRE(*ParseHostPort("[::1]") == HostPort{"::1", 7400});
  REQUIRE(*ParseHostPort("[fe80::2]:80") == HostPort{"fe80::2", 80});
  REQUIRE(ParseHostPort("[::1]:80")->ToString() == "[::1]:80");
  REQUIRE(ParseHostPort("a:1")->ToString() == "a:1");
}

TEST_CASE("what is no address is refused", "[cli][address]") {
  for (const char* text :
       {"", ":7400", "a:0", "a:65536", "a:x", "a:", "::1", "[::1", "[::1]x", "a b"}) {
    INFO(text);
    REQUIRE_FALSE(ParseHostPort(text).ok());
  }
}

TEST_CASE("a mount source is an address or a directory, with a subdirectory", "[cli][address]") {
  auto plain = ParseMountSource("node7");
  REQUIRE(plain->address == HostPort{"node7", 7400});
  REQUIRE(plain->subdir.empty());

  auto sub = ParseMountSource("node7:7500:/a//b/");
  REQUIRE(sub->address == HostPort{"node7", 7500});
  REQUIRE(sub->subdir == "/a/b");

  REQUIRE(ParseMountSource("node7:/")->subdir.empty());
  REQUIRE(ParseMountSource("[::1]:7400:/x")->address.host == "::1");
  REQUIRE(ParseMountSource("/var/tmp/p1")->directory == "/var/tmp/p1");
  REQUIRE(ParseMountSource("./p1:/x")->directory == "./p1");
  REQUIRE(ParseMountSource("./p1:/x")->subdir == "/x");
  REQUIRE_FALSE(ParseMountSource(":/x").ok());
  REQUIRE_FALSE(ParseMountSource("node7:/a/../b").ok());
}

TEST_CASE("the source in the mount table can be read back", "[cli][address]") {
  for (const char* text : {"node7:7400", "[::1]:7400:/a/b", "10.0.0.1:80:/x"}) {
    auto source = ParseMountSource(text);
    REQUIRE(SourceText(source->address, source->subdir) == text);
  }
}

}  // namespace penstock::cli
