// The frame: header, message and payload, in that order (docs/formats/wire.md). This file has the
// header's bytes and the status that a reply carries; it does no I/O.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::net {

inline constexpr uint32_t kFrameMagic = 0x4B545350;  // "PSTK"
inline constexpr uint8_t kProtocolVersion = 1;
inline constexpr size_t kFrameHeaderBytes = 48;
inline constexpr uint16_t kFlagClosing = 0x0100;          // of a reply: the server closes after it
inline constexpr uint16_t kFlagsMustUnderstand = 0x00FF;  // unknown bits here are an error

enum class FrameKind : uint8_t { kRequest = 1, kReply = 2 };

struct FrameHeader {
  FrameKind kind = FrameKind::kRequest;
  uint16_t method = 0;
  uint64_t request_id = 0;
  uint32_t message_bytes = 0;
  uint32_t payload_bytes = 0;
  uint16_t code = 0;    // canonical status code; 0 in requests
  uint16_t err = 0;     // errno, 0: none
  uint16_t reason = 0;  // penstock::Reason
  uint16_t flags = 0;
  uint32_t deadline_ms = 0;  // of a request, from its sending; 0: none
  uint32_t crc = 0;          // of the first 44 bytes of the header, then the message
};

struct FrameLimits {
  uint32_t max_message_bytes = 4 << 20;
  uint32_t max_payload_bytes = 64 << 20;
};

// Before the client has proved the cluster key.
inline constexpr FrameLimits kHandshakeLimits = {1024, 0};

// Reads a header. INVALID_ARGUMENT: not a Penstock frame. FAILED_PRECONDITION with
// kProtocolVersion: another version. The checksum is the caller's to check with CheckFrame once the
// message is there.
absl::StatusOr<FrameHeader> DecodeFrameHeader(std::string_view bytes);
// EMSGSIZE with kMessageTooLarge.
absl::Status CheckLimits(const FrameHeader& header, const FrameLimits& limits);
// INVALID_ARGUMENT when the checksum over `header_bytes` and `message` is another than the
// header's.
absl::Status CheckFrame(std::string_view header_bytes, std::string_view message);

// Header and message as they go on the wire; fills in lengths of the message and the checksum.
std::string EncodeFrame(FrameHeader header, const google::protobuf::MessageLite* message);
std::string EncodeFrame(FrameHeader header, std::string_view serialized_message);

struct ReplyTo {
  uint16_t method = 0;
  uint64_t request_id = 0;
  bool closing = false;  // the connection ends with this reply
};
// A reply with `status`; `response` and the payload count only when it is OK.
std::string EncodeReply(const ReplyTo& to, const absl::Status& status,
                        const google::protobuf::MessageLite* response, uint32_t payload_bytes);
// The status that a reply carries, with errno and reason.
absl::Status StatusOfReply(const FrameHeader& header, std::string_view message);

}  // namespace penstock::net
