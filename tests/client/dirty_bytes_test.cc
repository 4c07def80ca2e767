#include "client/dirty_bytes.h"

#include <catch2/catch.hpp>
#include <random>

#include "client/chunk_pieces.h"

namespace penstock::client {
namespace {

std::string Bytes(const DirtyBytes& dirty, Range range) { return std::string(dirty.Data(range)); }

TEST_CASE("writes one after the other make one extent", "[client][dirty_bytes]") {
  DirtyBytes dirty;
  dirty.Write(10, "abc");
  dirty.Write(13, "def");
  dirty.Write(7, "xyz");
  REQUIRE(dirty.ranges() == std::vector<Range>{{7, 16}});
  REQUIRE(Bytes(dirty, {7, 16}) == "xyzabcdef");
  REQUIRE(dirty.bytes() == 9);
}

TEST_CASE("a later write wins over all that it covers", "[client][dirty_bytes]") {
  DirtyBytes dirty;
  dirty.Write(0, "aaaa");
  dirty.Write(6, "bbbb");
  dirty.Write(12, "cccc");
  dirty.Write(2, "XXXXXXXXXXX");
  REQUIRE(dirty.ranges() == std::vector<Range>{{0, 16}});
  REQUIRE(Bytes(dirty, {0, 16}) == "aaXXXXXXXXXXXccc");
}

TEST_CASE("filling takes what is held off the missing ranges", "[client][dirty_bytes]") {
  DirtyBytes dirty;
  dirty.Write(104, "bb");
  dirty.Write(110, "cc");
  std::string into(10, '.');
  std::vector<Range> missing{{102, 112}};
  dirty.Fill(102, absl::MakeSpan(into), &missing);
  REQUIRE(into == "..bb....cc");
  REQUIRE(missing == std::vector<Range>{{102, 104}, {106, 110}});
}

TEST_CASE("filling below keeps what was written", "[client][dirty_bytes]") {
  DirtyBytes dirty;
  dirty.Write(2, "XX");
  dirty.Write(8, "YY");
  dirty.FillBelow(0, "abcdef");
  REQUIRE(dirty.ranges() == std::vector<Range>{{0, 6}, {8, 10}});
  REQUIRE(Bytes(dirty, {0, 6}) == "abXXef");
}

TEST_CASE("random writes equal those of a plain array", "[client][dirty_bytes][random]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::string model(600, '.');
  std::vector<bool> written(600, false);
  DirtyBytes dirty;
  for (int i = 0; i < 300; ++i) {
    const uint32_t offset = random() % 550;
    const std::string data(1 + random() % 40, static_cast<char>('a' + random() % 26));
    dirty.Write(offset, data);
    model.replace(offset, data.size(), data);
    std::fill_n(written.begin() + offset, data.size(), true);
    std::string into(600, '.');
    std::vector<Range> missing{{0, 600}};
    dirty.Fill(0, absl::MakeSpan(into), &missing);
    REQUIRE(into == model.substr(0, 600));
    REQUIRE(dirty.bytes() ==
            static_cast<uint64_t>(std::count(written.begin(), written.end(), true)));
    std::vector<bool> left(600, false);
    for (Range r : missing) std::fill(left.begin() + r.begin, left.begin() + r.end, true);
    for (size_t b = 0; b < 600; ++b) REQUIRE(left[b] != written[b]);
  }
}

TEST_CASE("a range is split at chunk borders", "[client][chunk_pieces]") {
  auto pieces = SplitByChunk(100, 250, 200);
  REQUIRE(pieces.size() == 3);
  REQUIRE((pieces[0].index == 2 && pieces[0].offset == 50 && pieces[0].length == 50));
  REQUIRE((pieces[1].index == 3 && pieces[1].offset == 0 && pieces[1].length == 100));
  REQUIRE((pieces[2].index == 4 && pieces[2].length == 50 && pieces[2].at == 150));
  REQUIRE(SplitByChunk(100, 100, 0).empty());
}

}  // namespace
}  // namespace penstock::client
