#include "common/net/rdma_segment.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/net/frame.h"
#include "common/net/little_endian.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr uint16_t kSegmentMagic = 0x4453;  // "SD"
constexpr uint8_t kGoodbye = 1;
constexpr uint8_t kWritten = 2;
constexpr uint64_t kMaxPayloadBytes = 1u << 30;
constexpr uint16_t kFewestSlots = 4;
constexpr uint32_t kSmallestSlot = 1024;  // a header, all descriptors and some bytes fit
constexpr uint32_t kLargestSlot = 1 << 20;

absl::Status MalformedSegment(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed RDMA segment: ", what));
}

void PutPieces(absl::Span<const RemotePiece> pieces, char** out) {
  for (const RemotePiece& piece : pieces) {
    Put<uint64_t>(*out, piece.address);
    Put<uint32_t>(*out + 8, piece.bytes);
    Put<uint32_t>(*out + 12, piece.key);
    *out += kDescriptorBytes;
  }
}

absl::StatusOr<RemotePieces> GetPieces(std::string_view bytes) {
  RemotePieces pieces;
  for (size_t at = 0; at < bytes.size(); at += kDescriptorBytes) {
    const char* from = bytes.data() + at;
    const RemotePiece piece{Get<uint64_t>(from), Get<uint32_t>(from + 8), Get<uint32_t>(from + 12)};
    if (piece.bytes == 0) return MalformedSegment("empty descriptor");
    if (piece.address + piece.bytes < piece.address)
      return MalformedSegment("descriptor wraps around");
    pieces.push_back(piece);
  }
  if (TotalOf(pieces) > kMaxPayloadBytes)
    return MalformedSegment("descriptors are too long together");
  return pieces;
}

}  // namespace

uint64_t TotalOf(absl::Span<const RemotePiece> pieces) {
  uint64_t total = 0;
  for (const RemotePiece& piece : pieces) total += piece.bytes;
  return total;
}

size_t SegmentOverhead(const Segment& segment) {
  return kSegmentHeaderBytes + kDescriptorBytes * (segment.sources.size() + segment.sinks.size());
}

void EncodeSegment(const Segment& segment, size_t stream_bytes, char* out) {
  INVARIANT(segment.sources.size() <= kMaxDescriptors && segment.sinks.size() <= kMaxDescriptors);
  std::fill(out, out + kSegmentHeaderBytes, '\0');
  Put<uint16_t>(out, kSegmentMagic);
  Put<uint8_t>(out + 2, kRdmaVersion);
  Put<uint8_t>(out + 3, static_cast<uint8_t>((segment.goodbye ? kGoodbye : 0) |
                                             (segment.written ? kWritten : 0)));
  Put<uint16_t>(out + 4, segment.credits);
  Put<uint8_t>(out + 6, static_cast<uint8_t>(segment.sources.size()));
  Put<uint8_t>(out + 7, static_cast<uint8_t>(segment.sinks.size()));
  Put<uint32_t>(out + 8, static_cast<uint32_t>(stream_bytes));
  out += kSegmentHeaderBytes;
  PutPieces(segment.sources, &out);
  PutPieces(segment.sinks, &out);
}

absl::StatusOr<Segment> DecodeSegment(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes) return MalformedSegment("too short");
  const char* from = bytes.data();
  if (Get<uint16_t>(from) != kSegmentMagic) return MalformedSegment("wrong magic");
  if (Get<uint8_t>(from + 2) != kRdmaVersion) return MalformedSegment("unknown version");
  const auto flags = Get<uint8_t>(from + 3);
  if ((flags & ~(kGoodbye | kWritten)) != 0) return MalformedSegment("unknown flags");
  if (Get<uint32_t>(from + 12) != 0) return MalformedSegment("reserved bytes are not zero");
  const size_t sources = Get<uint8_t>(from + 6), sinks = Get<uint8_t>(from + 7);
  if (sources > kMaxDescriptors || sinks > kMaxDescriptors)
    return MalformedSegment("too many descriptors");
  const size_t overhead = kSegmentHeaderBytes + kDescriptorBytes * (sources + sinks);
  if (bytes.size() < overhead || bytes.size() - overhead != Get<uint32_t>(from + 8)) {
    return MalformedSegment("wrong length");
  }
  Segment segment;
  segment.credits = Get<uint16_t>(from + 4);
  segment.goodbye = (flags & kGoodbye) != 0;
  segment.written = (flags & kWritten) != 0;
  const size_t sources_end = kSegmentHeaderBytes + kDescriptorBytes * sources;
  ASSIGN_OR_RETURN(segment.sources,
                   GetPieces(bytes.substr(kSegmentHeaderBytes, sources_end - kSegmentHeaderBytes)));
  ASSIGN_OR_RETURN(segment.sinks, GetPieces(bytes.substr(sources_end, overhead - sources_end)));
  segment.stream = bytes.substr(overhead);
  if (segment.stream.empty() && segment.begins_frame())
    return MalformedSegment("a frame without bytes");
  if (segment.goodbye && !segment.stream.empty()) return MalformedSegment("bytes in a goodbye");
  return segment;
}

std::string EncodePrivate(const RdmaPrivate& said) {
  std::string out(kRdmaPrivateBytes, '\0');
  Put<uint32_t>(out.data(), kFrameMagic);
  Put<uint8_t>(out.data() + 4, kRdmaVersion);
  Put<uint8_t>(out.data() + 5, kProtocolVersion);
  Put<uint16_t>(out.data() + 6, said.slots);
  Put<uint32_t>(out.data() + 8, said.slot_bytes);
  return out;
}

absl::StatusOr<RdmaPrivate> DecodePrivate(std::string_view bytes) {
  if (bytes.size() < kRdmaPrivateBytes || Get<uint32_t>(bytes.data()) != kFrameMagic) {
    return absl::InvalidArgumentError("RDMA peer is no Penstock program");
  }
  const auto rdma_version = Get<uint8_t>(bytes.data() + 4);
  const auto frame_version = Get<uint8_t>(bytes.data() + 5);
  if (rdma_version != kRdmaVersion || frame_version != kProtocolVersion) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat(
                          "RDMA peer speaks versions ", rdma_version, " and ", frame_version,
                          ", this side ", kRdmaVersion, " and ", kProtocolVersion)),
                      Reason::kProtocolVersion);
  }
  RdmaPrivate said{Get<uint16_t>(bytes.data() + 6), Get<uint32_t>(bytes.data() + 8)};
  if (Get<uint32_t>(bytes.data() + 12) != 0 || said.slots < kFewestSlots ||
      said.slot_bytes < kSmallestSlot || said.slot_bytes > kLargestSlot) {
    return absl::InvalidArgumentError("RDMA peer's private data makes no sense");
  }
  return said;
}

}  // namespace penstock::net
