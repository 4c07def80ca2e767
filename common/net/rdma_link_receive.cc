// The receiving half of RdmaLink.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>

#include "common/net/rdma_link.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr size_t kMostSinks = 1024;  // requests of one connection whose replies may be written

absl::Status MalformedStream(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed RDMA frame: ", what));
}

// Copies `total` bytes from one list of pieces to another, leaving out what is there already.
void CopyPieces(absl::Span<const iovec> from, absl::Span<const iovec> to, uint64_t total) {
  size_t source = 0, sink = 0, source_at = 0, sink_at = 0;
  while (total > 0) {
    const char* in = static_cast<const char*>(from[source].iov_base) + source_at;
    char* out = static_cast<char*>(to[sink].iov_base) + sink_at;
    const uint64_t bytes =
        std::min({total, from[source].iov_len - source_at, to[sink].iov_len - sink_at});
    if (in != out && bytes != 0) std::memmove(out, in, bytes);
    total -= bytes;
    source_at += bytes;
    sink_at += bytes;
    if (source_at == from[source].iov_len) ++source, source_at = 0;
    if (sink_at == to[sink].iov_len) ++sink, sink_at = 0;
  }
}

}  // namespace

const FrameHeader& RdmaLink::header() const { return reader_.header(); }
std::string_view RdmaLink::message() const { return reader_.message(); }

void RdmaLink::SetLimits(const FrameLimits& limits) {
  absl::MutexLock lock(&mu_);
  limits_ = limits;
  reader_.SetLimits(limits);
}

bool RdmaLink::has_buffered() const {
  if (reader_.head_ready() || reader_.buffered_bytes() != 0) return true;
  absl::MutexLock lock(&mu_);
  return !arrived_.empty();
}

absl::Status RdmaLink::EndOfStream() const {
  if (!broken_.ok()) return broken_;
  return goodbye_received_ ? Broken("connection closed by") : absl::OkStatus();
}

absl::Status RdmaLink::DropArrived() {
  const int slot = arrived_.front().slot;
  arrived_.pop_front();
  return Repost(slot);
}

absl::StatusOr<Progress> RdmaLink::ReceiveHead() {
  absl::MutexLock lock(&mu_);
  (void)PollLocked();  // an error counts once what had come before it is taken
  if (absl::Status fed = Feed(); !fed.ok()) return fed;
  if (!reader_.head_ready()) {
    RETURN_IF_ERROR(EndOfStream());
    return Progress::kAgain;
  }
  if (!head_checked_) RETURN_IF_ERROR(CheckHead());
  head_checked_ = true;
  return Progress::kDone;
}

// Gives the reader what has arrived until a head is whole.
absl::Status RdmaLink::Feed() {
  while (!reader_.head_ready() && !arrived_.empty()) {
    Arrived& next = arrived_.front();
    if (!next.begun && next.segment.begins_frame()) {
      RETURN_IF_ERROR(CheckSegment(next.segment));
      current_.sources = std::move(next.segment.sources);
      current_.sinks = std::move(next.segment.sinks);
      current_.written = next.segment.written;
    }
    next.begun = true;
    std::string_view& stream = next.segment.stream;
    const absl::Span<char> space = reader_.Space();
    const size_t take = std::min(space.size(), stream.size());
    std::memcpy(space.data(), stream.data(), take);
    stream.remove_prefix(take);
    RETURN_IF_ERROR(reader_.Advance(take));
    if (stream.empty()) RETURN_IF_ERROR(DropArrived());
  }
  return SendUpdateIfDue();
}

absl::Status RdmaLink::CheckSegment(const Segment& segment) const {
  if (reader_.buffered_bytes() != 0) return MalformedStream("descriptors amid a frame");
  if (limits_.max_payload_bytes == 0) return MalformedStream("descriptors before the proof");
  if (server() ? segment.written : !segment.sources.empty() || !segment.sinks.empty()) {
    return MalformedStream("descriptors of the other side");
  }
  return absl::OkStatus();
}

absl::Status RdmaLink::CheckHead() {
  const FrameHeader& head = reader_.header();
  if (!current_.sources.empty() && TotalOf(current_.sources) != head.payload_bytes) {
    return MalformedStream("descriptors and payload differ in length");
  }
  if (!current_.sinks.empty()) {
    if (sinks_.size() >= kMostSinks) return MalformedStream("too many replies to be written");
    Sinks& sinks = sinks_[head.request_id];
    sinks.pieces = std::move(current_.sinks);
    sinks.deadline = head.deadline_ms == 0 ? absl::InfiniteFuture()
                                           : absl::Now() + absl::Milliseconds(head.deadline_ms);
  }
  if (current_.written) {
    auto exposed = exposed_.find(head.request_id);
    if (exposed == exposed_.end() || head.payload_bytes == 0 ||
        head.payload_bytes > TotalBytes(exposed->second.sinks.parts)) {
      return MalformedStream("a payload written that was not asked for");
    }
  }
  return absl::OkStatus();
}

absl::Status RdmaLink::NextFrame() {
  absl::MutexLock lock(&mu_);
  if (!server()) exposed_.erase(reader_.header().request_id);
  current_ = {};
  head_checked_ = false;
  reading_ = {};
  return reader_.NextFrame();
}

absl::StatusOr<Progress> RdmaLink::ReceivePayload(IncomingPayload* payload) {
  absl::MutexLock lock(&mu_);
  absl::Status polled = PollLocked();
  if (current_.written) return TakeWritten(payload);
  if (current_.sources.empty()) return TakeStream(payload);
  if (!polled.ok()) return polled;
  auto progress = ReadSources(payload);
  if (!progress.ok()) return Fail(progress.status());
  return progress;
}

absl::StatusOr<Progress> RdmaLink::TakeWritten(IncomingPayload* payload) {
  const Exposed& exposed = exposed_.find(reader_.header().request_id)->second;  // CheckHead saw it
  const uint64_t total = TotalBytes(payload->into);
  CopyPieces(exposed.sinks.parts, payload->into, total);
  payload->received_bytes = total;
  return Progress::kDone;
}

absl::StatusOr<Progress> RdmaLink::TakeStream(IncomingPayload* payload) {
  size_t skip = payload->received_bytes;
  for (const iovec& part : payload->into) {
    while (skip < part.iov_len) {
      char* to = static_cast<char*>(part.iov_base) + skip;
      size_t took = reader_.TakePayload({to, part.iov_len - skip});
      if (took == 0) {
        if (arrived_.empty()) {
          RETURN_IF_ERROR(EndOfStream());
          RETURN_IF_ERROR(SendUpdateIfDue());
          return Progress::kAgain;
        }
        Arrived& next = arrived_.front();
        if (!next.begun && next.segment.begins_frame())
          return MalformedStream("a frame amid a payload");
        next.begun = true;
        took = std::min(part.iov_len - skip, next.segment.stream.size());
        std::memcpy(to, next.segment.stream.data(), took);
        next.segment.stream.remove_prefix(took);
        if (next.segment.stream.empty()) RETURN_IF_ERROR(DropArrived());
      }
      skip += took;
      payload->received_bytes += took;
    }
    skip -= part.iov_len;
  }
  RETURN_IF_ERROR(SendUpdateIfDue());
  return Progress::kDone;
}

absl::StatusOr<Progress> RdmaLink::ReadSources(IncomingPayload* payload) {
  Reading& r = reading_;
  if (!r.active) {
    r.total = TotalBytes(payload->into);
    r.into = MemoryFor(payload->into, RdmaReach::kNone);
    if (r.into.parts.empty()) return Broken("no registered memory for a payload of");
    r.reads = SpreadTransfers(r.into.parts, current_.sources, r.total, kLongestTransfer);
    r.active = true;
  }
  while (r.next_read < r.reads.size() && QueueHasRoom()) {
    const RdmaTransfer& read = r.reads[r.next_read++];
    const bool last = r.next_read == r.reads.size();
    RETURN_IF_ERROR(endpoint_->PostTransfer(IBV_WR_RDMA_READ, read, r.into.regions[read.part]->lkey,
                                            NextSignal(last)));
    works_.push_back({.slot = -1, .read_bytes = read.bytes, .foreign = r.into.bounce.size() == 0});
  }
  payload->received_bytes = r.done;
  if (r.done < r.total) return Progress::kAgain;
  if (r.into.bounce.size() != 0) CopyPieces(r.into.parts, payload->into, r.total);
  reading_ = {};
  return Progress::kDone;
}

absl::StatusOr<Progress> RdmaLink::Linger() {
  absl::MutexLock lock(&mu_);
  const absl::Status polled = PollLocked();
  while (!arrived_.empty()) RETURN_IF_ERROR(DropArrived());
  if (!polled.ok() || goodbye_received_) return Progress::kDone;
  if (!goodbye_sent_ && !free_slots_.empty() && credits_.MaySendUpdate()) {
    Segment goodbye;
    goodbye.goodbye = true;
    RETURN_IF_ERROR(Post(&goodbye, {}, true));
    goodbye_sent_ = true;
  }
  return Progress::kAgain;
}

bool RdmaLink::Stale() {
  absl::MutexLock lock(&mu_);
  return !PollLocked().ok() || !arrived_.empty() || goodbye_received_;
}

}  // namespace penstock::net
