// What one SEND of the RDMA transport carries, and the private data of its connections
// (docs/formats/wire.md): bytes only, no I/O. Everything that comes from a peer is checked here.
#pragma once

#include <absl/container/inlined_vector.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::net {

inline constexpr uint8_t kRdmaVersion = 1;
inline constexpr size_t kSegmentHeaderBytes = 16;
inline constexpr size_t kDescriptorBytes = 16;
inline constexpr size_t kMaxDescriptors = 16;  // of each kind
inline constexpr size_t kRdmaPrivateBytes = 16;

// Memory of the peer that may be read or written with `key` while its request is answered.
struct RemotePiece {
  uint64_t address = 0;
  uint32_t bytes = 0;
  uint32_t key = 0;
};
using RemotePieces = absl::InlinedVector<RemotePiece, 1>;

struct Segment {
  uint16_t credits = 0;  // further SENDs that the receiver of this may make
  bool goodbye = false;  // nothing follows; no stream bytes
  bool written = false;  // the payload of the reply that begins here lies in the sinks
  RemotePieces sources;  // the payload of the request that begins here is read from there
  RemotePieces sinks;    // the payload of its reply may be written there
  std::string_view stream;

  bool begins_frame() const { return written || !sources.empty() || !sinks.empty(); }
};

// How much room the part before the stream bytes needs.
size_t SegmentOverhead(const Segment& segment);
// Writes header and descriptors to `out` (SegmentOverhead long), for `stream_bytes` behind them.
void EncodeSegment(const Segment& segment, size_t stream_bytes, char* out);
// `stream` points into `bytes`. INVALID_ARGUMENT: not a segment that a peer of ours sends.
absl::StatusOr<Segment> DecodeSegment(std::string_view bytes);

// How many bytes `pieces` hold together.
uint64_t TotalOf(absl::Span<const RemotePiece> pieces);

// What both sides say in rdma_cm's private data before any SEND.
struct RdmaPrivate {
  uint16_t slots = 0;       // receives that the sender of this has posted: the peer's first credits
  uint32_t slot_bytes = 0;  // the length of each
};
std::string EncodePrivate(const RdmaPrivate& said);
// Bytes behind the first kRdmaPrivateBytes are ignored: rdma_cm pads. INVALID_ARGUMENT;
// FAILED_PRECONDITION with kProtocolVersion.
absl::StatusOr<RdmaPrivate> DecodePrivate(std::string_view bytes);

}  // namespace penstock::net
