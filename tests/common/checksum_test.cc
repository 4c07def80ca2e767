#include "common/checksum.h"

#include <catch2/catch.hpp>

#include <string>

using namespace penstock;

TEST_CASE("crc32c gives the check value of RFC 3720", "[common][checksum]") {
  REQUIRE(Crc32c("123456789") == 0xE3069283u);
  REQUIRE(Crc32c(std::string(32, '\0')) == 0x8A9136AAu);
}

TEST_CASE("crc32c of parts combines to that of the whole", "[common][checksum]") {
  std::string text(10000, 'x');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 + i / 7);
  for (size_t cut : {0u, 1u, 4096u, 9999u, 10000u}) {
    std::string_view a(text.data(), cut), b(text.data() + cut, text.size() - cut);
    REQUIRE(Crc32cCombine(Crc32c(a), Crc32c(b), b.size()) == Crc32c(text));
    REQUIRE(Crc32c(b, Crc32c(a)) == Crc32c(text));
  }
  Crc32cCombiner blocks(1000);
  uint32_t crc = 0;
  for (size_t i = 0; i < 10; ++i) crc = blocks.Append(crc, Crc32c({text.data() + i * 1000, 1000}));
  REQUIRE(crc == Crc32c(text));
}
