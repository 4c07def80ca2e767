#include "common/net/frame.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_replace.h>

#include <catch2/catch.hpp>

#include "common/checksum.h"
#include "common/status.h"
#include "proto/meta.pb.h"
#include "proto/rpc.pb.h"

namespace penstock::net {
namespace {

std::string Hex(std::string_view bytes) {
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

std::string ExampleRequest() {
  wire::ReadlinkRequest message;
  message.set_ino((uint64_t{1} << 40) | 2);
  FrameHeader header;
  header.method = wire::METHOD_READLINK;
  header.request_id = 7;
  header.deadline_ms = 10'000;
  return EncodeFrame(header, &message);
}

// Puts the right checksum into a header-only frame.
void Reseal(std::string& frame) {
  const uint32_t crc = Crc32c(std::string_view(frame).substr(48), Crc32c(frame.substr(0, 44)));
  for (int i = 0; i < 4; ++i) frame[44 + i] = static_cast<char>(crc >> (8 * i));
}

// The two examples of docs/formats/wire.md, byte for byte.
TEST_CASE("frames look as the format page says", "[net][frame]") {
  REQUIRE(Hex(ExampleRequest()) ==
          "5053544b01012700"
          "0700000000000000"
          "0900000000000000"
          "0000000000000000"
          "1027000000000000"
          "00000000"
          "5670f582"
          "110200000000010000");
  const std::string reply =
      EncodeReply({wire::METHOD_READLINK, 7}, PosixError(ENOENT, "no such inode"), nullptr, 0);
  REQUIRE(Hex(reply) ==
          "5053544b01022700"
          "0700000000000000"
          "0f00000000000000"
          "0500020000000000"
          "0000000000000000"
          "00000000"
          "37bf4465"
          "0a0d6e6f207375636820696e6f6465");
}

TEST_CASE("a header decodes to what was encoded", "[net][frame]") {
  const std::string frame = ExampleRequest();
  auto header = DecodeFrameHeader(frame);
  REQUIRE(header.ok());
  REQUIRE(header->kind == FrameKind::kRequest);
  REQUIRE(header->method == wire::METHOD_READLINK);
  REQUIRE(header->request_id == 7);
  REQUIRE(header->message_bytes == 9);
  REQUIRE(header->payload_bytes == 0);
  REQUIRE(header->deadline_ms == 10'000);
  REQUIRE(CheckFrame(frame, frame.substr(48)) == absl::OkStatus());
}

TEST_CASE("every flipped bit of header and message is noticed", "[net][frame]") {
  const std::string good = ExampleRequest();
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    const bool accepted =
        DecodeFrameHeader(bad).ok() && CheckFrame(bad.substr(0, 48), bad.substr(48)).ok();
    INFO("bit " << bit);
    REQUIRE_FALSE(accepted);
  }
}

TEST_CASE("what is not a Penstock frame is refused even with a right checksum", "[net][frame]") {
  const auto refused = [](size_t at, char value) {
    std::string frame = ExampleRequest();
    frame[at] = value;
    Reseal(frame);
    return DecodeFrameHeader(frame).status();
  };
  REQUIRE(absl::IsInvalidArgument(refused(0, 'X')));  // magic
  REQUIRE(absl::IsInvalidArgument(refused(5, 0)));    // kind
  REQUIRE(absl::IsInvalidArgument(refused(5, 3)));
  REQUIRE(absl::IsInvalidArgument(refused(24, 5)));   // a request with a status
  REQUIRE(absl::IsInvalidArgument(refused(24, 17)));  // no such code
  REQUIRE(absl::IsInvalidArgument(refused(26, 2)));   // OK with an errno
  REQUIRE(absl::IsInvalidArgument(refused(30, 1)));   // a flag that must be understood
  REQUIRE(refused(31, 1) == absl::OkStatus());        // one that need not
  for (size_t at = 36; at < 44; ++at) REQUIRE(absl::IsInvalidArgument(refused(at, 1)));
  REQUIRE(absl::IsInvalidArgument(DecodeFrameHeader(ExampleRequest().substr(0, 47)).status()));
}

TEST_CASE("another protocol version has its own reason", "[net][frame]") {
  std::string frame = ExampleRequest();
  frame[4] = 2;
  REQUIRE(ReasonOf(DecodeFrameHeader(frame).status()) == Reason::kProtocolVersion);
}

TEST_CASE("limits answer EMSGSIZE", "[net][frame]") {
  FrameHeader header;
  header.message_bytes = 100;
  header.payload_bytes = 200;
  REQUIRE(CheckLimits(header, {100, 200}) == absl::OkStatus());
  for (const FrameLimits& limits : {FrameLimits{99, 200}, FrameLimits{100, 199}}) {
    const absl::Status status = CheckLimits(header, limits);
    REQUIRE(ErrnoOf(status) == EMSGSIZE);
    REQUIRE(ReasonOf(status) == Reason::kMessageTooLarge);
  }
}

TEST_CASE("every canonical code survives a reply", "[net][frame]") {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status sent(static_cast<absl::StatusCode>(code), "text");
    const std::string frame = EncodeReply({1, 2}, sent, nullptr, 0);
    REQUIRE(StatusOfReply(*DecodeFrameHeader(frame), frame.substr(48)) == sent);
  }
}

TEST_CASE("an error that quotes a name which is no UTF-8 can be sent", "[net][frame]") {
  const std::string frame =
      EncodeReply({1, 2}, PosixError(ENOENT, "no entry \xff\xfe"), nullptr, 0);
  const absl::Status got = StatusOfReply(*DecodeFrameHeader(frame), frame.substr(48));
  REQUIRE(got.message() == "no entry ??");
  REQUIRE(ErrnoOf(got) == ENOENT);
}

TEST_CASE("an error reply carries neither response nor payload", "[net][frame]") {
  wire::PingResponse response;
  response.set_program("secret");
  const std::string frame = EncodeReply({3, 9}, absl::AbortedError("x"), &response, 500);
  REQUIRE(frame.find("secret") == std::string::npos);
  REQUIRE(DecodeFrameHeader(frame)->payload_bytes == 0);
}

}  // namespace
}  // namespace penstock::net
