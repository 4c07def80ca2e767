#include "common/net/frame.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/checksum.h"
#include "common/net/little_endian.h"
#include "common/status.h"
#include "proto/rpc.pb.h"

namespace penstock::net {
namespace {

constexpr size_t kCrcOffset = 44;
constexpr size_t kReservedOffset = 36;
constexpr uint16_t kMaxCode = 16;
constexpr uint16_t kMaxErrno = 4095;
constexpr size_t kMaxErrorText = 4096;

void PutHeader(const FrameHeader& h, char* out) {
  std::fill(out, out + kFrameHeaderBytes, '\0');
  Put<uint32_t>(out, kFrameMagic);
  Put<uint8_t>(out + 4, kProtocolVersion);
  Put<uint8_t>(out + 5, static_cast<uint8_t>(h.kind));
  Put<uint16_t>(out + 6, h.method);
  Put<uint64_t>(out + 8, h.request_id);
  Put<uint32_t>(out + 16, h.message_bytes);
  Put<uint32_t>(out + 20, h.payload_bytes);
  Put<uint16_t>(out + 24, h.code);
  Put<uint16_t>(out + 26, h.err);
  Put<uint16_t>(out + 28, h.reason);
  Put<uint16_t>(out + 30, h.flags);
  Put<uint32_t>(out + 32, h.deadline_ms);
}

// The header, and room for the message behind it.
std::string StartFrame(FrameHeader* header, size_t message_bytes) {
  INVARIANT(message_bytes <= INT32_MAX);
  header->message_bytes = static_cast<uint32_t>(message_bytes);
  std::string out(kFrameHeaderBytes + message_bytes, '\0');
  PutHeader(*header, out.data());
  return out;
}

void SealFrame(std::string* out) {
  const std::string_view bytes = *out;
  const uint32_t crc = Crc32c(bytes.substr(kFrameHeaderBytes), Crc32c(bytes.substr(0, kCrcOffset)));
  Put<uint32_t>(out->data() + kCrcOffset, crc);
}

absl::Status MalformedHeader(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed frame: ", what));
}

// A Protobuf string must be UTF-8; messages may quote file names, which need not be.
std::string Printable(absl::string_view text) {
  std::string out(text.substr(0, kMaxErrorText));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

}  // namespace

absl::StatusOr<FrameHeader> DecodeFrameHeader(std::string_view bytes) {
  if (bytes.size() < kFrameHeaderBytes) return MalformedHeader("header too short");
  const char* p = bytes.data();
  if (Get<uint32_t>(p) != kFrameMagic) return MalformedHeader("wrong magic");
  if (const auto version = Get<uint8_t>(p + 4); version != kProtocolVersion) {
    return WithReason(
        absl::FailedPreconditionError(absl::StrCat("peer speaks protocol version ", version,
                                                   ", this side ", kProtocolVersion)),
        Reason::kProtocolVersion);
  }
  const auto kind = Get<uint8_t>(p + 5);
  if (kind != 1 && kind != 2) return MalformedHeader("unknown kind");
  FrameHeader h;
  h.kind = static_cast<FrameKind>(kind);
  h.method = Get<uint16_t>(p + 6);
  h.request_id = Get<uint64_t>(p + 8);
  h.message_bytes = Get<uint32_t>(p + 16);
  h.payload_bytes = Get<uint32_t>(p + 20);
  h.code = Get<uint16_t>(p + 24);
  h.err = Get<uint16_t>(p + 26);
  h.reason = Get<uint16_t>(p + 28);
  h.flags = Get<uint16_t>(p + 30);
  h.deadline_ms = Get<uint32_t>(p + 32);
  h.crc = Get<uint32_t>(p + kCrcOffset);
  if (Get<uint64_t>(p + kReservedOffset) != 0)
    return MalformedHeader("reserved bytes are not zero");
  if ((h.flags & kFlagsMustUnderstand) != 0) return MalformedHeader("unknown flags");
  if (h.code > kMaxCode || h.err > kMaxErrno) return MalformedHeader("impossible status");
  if (h.code == 0 && (h.err != 0 || h.reason != 0)) return MalformedHeader("OK with an errno");
  if (h.kind == FrameKind::kRequest && h.code != 0) return MalformedHeader("request with a status");
  return h;
}

absl::Status CheckLimits(const FrameHeader& header, const FrameLimits& limits) {
  if (header.message_bytes <= limits.max_message_bytes &&
      header.payload_bytes <= limits.max_payload_bytes) {
    return absl::OkStatus();
  }
  return WithReason(
      PosixError(EMSGSIZE,
                 absl::StrCat("frame with message_bytes=", header.message_bytes,
                              " payload_bytes=", header.payload_bytes, " is above the limits ",
                              limits.max_message_bytes, " and ", limits.max_payload_bytes)),
      Reason::kMessageTooLarge);
}

absl::Status CheckFrame(std::string_view header_bytes, std::string_view message) {
  if (header_bytes.size() < kFrameHeaderBytes) return MalformedHeader("header too short");
  const uint32_t crc = Crc32c(message, Crc32c(header_bytes.substr(0, kCrcOffset)));
  if (crc != Get<uint32_t>(header_bytes.data() + kCrcOffset))
    return MalformedHeader("wrong checksum");
  return absl::OkStatus();
}

std::string EncodeFrame(FrameHeader header, const google::protobuf::MessageLite* message) {
  const size_t message_bytes = message == nullptr ? 0 : message->ByteSizeLong();
  std::string out = StartFrame(&header, message_bytes);
  if (message_bytes != 0) {
    message->SerializeWithCachedSizesToArray(
        reinterpret_cast<uint8_t*>(out.data() + kFrameHeaderBytes));
  }
  SealFrame(&out);
  return out;
}

std::string EncodeFrame(FrameHeader header, std::string_view serialized_message) {
  std::string out = StartFrame(&header, serialized_message.size());
  std::copy(serialized_message.begin(), serialized_message.end(), out.begin() + kFrameHeaderBytes);
  SealFrame(&out);
  return out;
}

std::string EncodeReply(const ReplyTo& to, const absl::Status& status,
                        const google::protobuf::MessageLite* response, uint32_t payload_bytes) {
  FrameHeader header;
  header.kind = FrameKind::kReply;
  header.method = to.method;
  header.request_id = to.request_id;
  header.flags = to.closing ? kFlagClosing : 0;
  if (status.ok()) {
    header.payload_bytes = payload_bytes;
    return EncodeFrame(header, response);
  }
  header.code = static_cast<uint16_t>(status.raw_code());
  if (header.code > kMaxCode) header.code = static_cast<uint16_t>(absl::StatusCode::kUnknown);
  header.err = static_cast<uint16_t>(std::clamp<int>(AttachedErrno(status), 0, kMaxErrno));
  header.reason = static_cast<uint16_t>(ReasonOf(status));
  wire::ErrorDetail detail;
  detail.set_message(Printable(status.message()));
  return EncodeFrame(header, &detail);
}

absl::Status StatusOfReply(const FrameHeader& header, std::string_view message) {
  if (header.code == 0) return absl::OkStatus();
  wire::ErrorDetail detail;
  if (!detail.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    detail.set_message("(error text cannot be parsed)");
  }
  absl::Status status(static_cast<absl::StatusCode>(header.code), detail.message());
  if (header.err != 0) {
    // PosixError decides the code from the errno; the server's code is the one that counts.
    const absl::Status with_errno = PosixError(header.err, detail.message());
    with_errno.ForEachPayload(
        [&](absl::string_view url, const absl::Cord& payload) { status.SetPayload(url, payload); });
  }
  if (header.reason != 0)
    status = WithReason(std::move(status), static_cast<Reason>(header.reason));
  return status;
}

}  // namespace penstock::net
