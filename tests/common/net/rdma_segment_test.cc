#include "common/net/rdma_segment.h"

#include <catch2/catch.hpp>
#include <random>

#include "common/net/rdma_failure.h"
#include "common/status.h"
#include "tests/fuzz/segment_fuzz.h"

namespace penstock::net {
namespace {

std::string Encode(const Segment& segment, std::string_view stream) {
  std::string out(SegmentOverhead(segment), '\0');
  EncodeSegment(segment, stream.size(), out.data());
  return out.append(stream);
}

Segment Example() {
  Segment segment;
  segment.credits = 7;
  segment.sources = {{0x1000, 4096, 0x11}, {0x9000, 100, 0x12}};
  segment.sinks = {{0x7f0000000000, 1 << 20, 0x21}};
  return segment;
}

TEST_CASE("a segment says what was put into it", "[net][rdma_segment]") {
  const std::string bytes = Encode(Example(), "stream");
  REQUIRE(bytes.size() == 16 + 3 * 16 + 6);
  auto segment = DecodeSegment(bytes);
  REQUIRE(segment.ok());
  REQUIRE(segment->credits == 7);
  REQUIRE_FALSE(segment->goodbye);
  REQUIRE_FALSE(segment->written);
  REQUIRE(segment->begins_frame());
  REQUIRE(TotalOf(segment->sources) == 4196);
  REQUIRE(segment->sources[1].address == 0x9000);
  REQUIRE(segment->sinks[0].key == 0x21);
  REQUIRE(segment->stream == "stream");
}

// The worked example of docs/formats/wire.md.
TEST_CASE("a segment's bytes are those of the format's page", "[net][rdma_segment]") {
  Segment segment;
  segment.credits = 3;
  segment.sinks = {{0x0102030405060708, 0x1000, 0xAABBCCDD}};
  const unsigned char expected[] = {0x53, 0x44, 1, 0, 3,    0,    0,    1,    2,   0,  0, 0,
                                    0,    0,    0, 0, 8,    7,    6,    5,    4,   3,  2, 1,
                                    0,    0x10, 0, 0, 0xDD, 0xCC, 0xBB, 0xAA, 'h', 'i'};
  REQUIRE(Encode(segment, "hi") ==
          std::string(reinterpret_cast<const char*>(expected), sizeof expected));
}

TEST_CASE("segments that no peer of ours sends are refused", "[net][rdma_segment]") {
  const std::string good = Encode(Example(), "stream");
  for (size_t cut = 0; cut < good.size(); ++cut) {
    REQUIRE_FALSE(DecodeSegment(good.substr(0, cut)).ok());
  }
  REQUIRE_FALSE(DecodeSegment(good + "x").ok());
  const auto refused_with = [&](size_t at, char value) {
    std::string bad = good;
    bad[at] = value;
    return !DecodeSegment(bad).ok();
  };
  REQUIRE(refused_with(0, 'x'));  // magic
  REQUIRE(refused_with(2, 2));    // version
  REQUIRE(refused_with(3, 4));    // flag
  REQUIRE(refused_with(6, 17));   // too many sources
  REQUIRE(refused_with(7, 17));   // too many sinks
  REQUIRE(refused_with(12, 1));   // reserved
  Segment empty_piece = Example(), wraps = Example(), large = Example(), goodbye, bare = Example();
  empty_piece.sinks[0].bytes = 0;
  REQUIRE_FALSE(DecodeSegment(Encode(empty_piece, "s")).ok());
  wraps.sinks[0].address = UINT64_MAX - 10;
  REQUIRE_FALSE(DecodeSegment(Encode(wraps, "s")).ok());
  large.sinks[0].bytes = (1u << 30) + 1;
  REQUIRE_FALSE(DecodeSegment(Encode(large, "s")).ok());
  REQUIRE_FALSE(DecodeSegment(Encode(bare, "")).ok());
  goodbye.goodbye = true;
  REQUIRE(DecodeSegment(Encode(goodbye, "")).ok());
  REQUIRE_FALSE(DecodeSegment(Encode(goodbye, "s")).ok());
}

TEST_CASE("mutated segments are decoded or refused, never more", "[net][rdma_segment]") {
  std::mt19937 random(7);
  const std::string good = Encode(Example(), std::string(200, 's'));
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = good.substr(0, 1 + random() % good.size());
    for (int flips = static_cast<int>(random() % 4); flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    FuzzSegment(bytes);
    FuzzSegment(EncodePrivate({16, 4096}).replace(random() % 16, 1, 1, static_cast<char>(i)));
    auto segment = DecodeSegment(bytes);
    if (!segment.ok()) REQUIRE(absl::IsInvalidArgument(segment.status()));
  }
}

TEST_CASE("private data names slots, and peers of other versions are told apart",
          "[net][rdma_segment]") {
  const std::string said = EncodePrivate({16, 4096});
  REQUIRE(said.size() == kRdmaPrivateBytes);
  auto heard = DecodePrivate(said + std::string(40, '\0'));  // as padded by rdma_cm
  REQUIRE(heard.ok());
  REQUIRE(heard->slots == 16);
  REQUIRE(heard->slot_bytes == 4096);
  std::string other = said;
  other[4] = 2;
  REQUIRE(ReasonOf(DecodePrivate(other).status()) == Reason::kProtocolVersion);
  other = said;
  other[5] = 9;
  REQUIRE(ReasonOf(DecodePrivate(other).status()) == Reason::kProtocolVersion);
  REQUIRE_FALSE(DecodePrivate("").ok());
  REQUIRE_FALSE(DecodePrivate(std::string(56, '\0')).ok());
  REQUIRE_FALSE(DecodePrivate(EncodePrivate({3, 4096})).ok());
  REQUIRE_FALSE(DecodePrivate(EncodePrivate({16, 100})).ok());
  REQUIRE_FALSE(DecodePrivate(EncodePrivate({16, 2 << 20})).ok());
}

TEST_CASE("a failure of RDMA keeps its cause and has a fix", "[net][rdma_failure]") {
  for (RdmaFailure failure : kAllRdmaFailures) {
    const absl::Status status = RdmaError(failure, "text");
    REQUIRE(RdmaFailureOf(Annotate(status, "more")) == failure);
    REQUIRE(RdmaFailureName(failure) != "unknown");
    REQUIRE_FALSE(RdmaFailureFix(failure).empty());
  }
  REQUIRE_FALSE(RdmaFailureOf(absl::UnavailableError("other")).has_value());
}

}  // namespace
}  // namespace penstock::net
