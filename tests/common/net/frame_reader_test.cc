#include "common/net/frame_reader.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "common/status.h"
#include "proto/rpc.pb.h"

namespace penstock::net {
namespace {

struct Sent {
  uint64_t id;
  std::string message;
  std::string payload;
};

std::string Bytes(const Sent& sent) {
  FrameHeader header;
  header.method = 5;
  header.request_id = sent.id;
  header.payload_bytes = static_cast<uint32_t>(sent.payload.size());
  return EncodeFrame(header, std::string_view(sent.message)) + sent.payload;
}

// Feeds `stream` in pieces of random length and returns the frames that came out.
std::vector<Sent> Cut(std::string_view stream, uint32_t seed) {
  std::mt19937 random(seed);
  FrameReader reader;
  reader.SetLimits({1 << 20, 1 << 20});
  std::vector<Sent> frames;
  while (true) {
    while (!reader.head_ready()) {
      if (stream.empty()) return frames;
      auto space = reader.Space();
      REQUIRE(!space.empty());
      const size_t most = std::min(space.size(), stream.size());
      const size_t take = 1 + random() % most;
      std::memcpy(space.data(), stream.data(), take);
      stream.remove_prefix(take);
      REQUIRE(reader.Advance(take) == absl::OkStatus());
    }
    Sent frame{reader.header().request_id, std::string(reader.message()),
               std::string(reader.header().payload_bytes, '\0')};
    size_t taken = reader.TakePayload({frame.payload.data(), frame.payload.size()});
    const size_t direct = frame.payload.size() - taken;  // as recvmsg into the caller's buffers
    REQUIRE(direct <= stream.size());
    std::memcpy(frame.payload.data() + taken, stream.data(), direct);
    stream.remove_prefix(direct);
    frames.push_back(std::move(frame));
    REQUIRE(reader.NextFrame() == absl::OkStatus());
  }
}

TEST_CASE("frames are cut out of a stream however it is chopped", "[net][frame]") {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    std::vector<Sent> sent;
    std::string stream;
    for (uint64_t id = 1; id <= 8; ++id) {
      const size_t sizes[] = {0, 1, 40, 4000, 4048, 4096, 70000, 200000};
      sent.push_back({id, std::string(sizes[random() % 8], static_cast<char>('a' + id)),
                      std::string(sizes[random() % 8], static_cast<char>('A' + id))});
      stream += Bytes(sent.back());
    }
    const auto got = Cut(stream, seed);
    REQUIRE(got.size() == sent.size());
    for (size_t i = 0; i < sent.size(); ++i) {
      REQUIRE(got[i].id == sent[i].id);
      REQUIRE(got[i].message == sent[i].message);
      REQUIRE(got[i].payload == sent[i].payload);
    }
  }
}

absl::Status Feed(FrameReader& reader, std::string_view bytes) {
  while (!bytes.empty() && !reader.head_ready()) {
    auto space = reader.Space();
    const size_t take = std::min(space.size(), bytes.size());
    std::memcpy(space.data(), bytes.data(), take);
    bytes.remove_prefix(take);
    RETURN_IF_ERROR(reader.Advance(take));
  }
  return absl::OkStatus();
}

TEST_CASE("a fresh reader takes at most 1 KiB of message and no payload", "[net][frame]") {
  FrameReader exact;
  REQUIRE(Feed(exact, Bytes({1, std::string(1024, 'x'), ""})) == absl::OkStatus());
  REQUIRE(exact.head_ready());
  FrameReader message, payload;
  REQUIRE(ReasonOf(Feed(message, Bytes({9, std::string(1025, 'x'), ""}))) ==
          Reason::kMessageTooLarge);
  REQUIRE(message.header().request_id == 9);  // so that the refusal can name it
  REQUIRE(ReasonOf(Feed(payload, Bytes({1, "", "p"}))) == Reason::kMessageTooLarge);
}

TEST_CASE("a wrong checksum in the second frame is found when the first is left", "[net][frame]") {
  std::string second = Bytes({2, "message", ""});
  second.back() = 'X';
  FrameReader reader;
  REQUIRE(Feed(reader, Bytes({1, "", ""}) + second) == absl::OkStatus());
  REQUIRE(reader.head_ready());
  REQUIRE(absl::IsInvalidArgument(reader.NextFrame()));
}

}  // namespace
}  // namespace penstock::net
