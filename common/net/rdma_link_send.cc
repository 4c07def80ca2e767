// The sending half of RdmaLink.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>

#include "common/net/rdma_link.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr uint64_t kPayloadInSend = 2048;  // shorter payloads ride in the SEND

void CopyTo(char* out, absl::Span<const iovec> parts) {
  for (const iovec& part : parts) {
    if (part.iov_len != 0) std::memcpy(out, part.iov_base, part.iov_len);
    out += part.iov_len;
  }
}

// The bytes [from, from + bytes) of the frame's head and, behind it, its payload.
absl::InlinedVector<iovec, 4> Slice(const OutgoingFrame& frame, size_t from, size_t bytes) {
  absl::InlinedVector<iovec, 4> slice;
  const auto add = [&](const void* base, size_t length) {
    if (from >= length) {
      from -= length;
      return;
    }
    const size_t take = std::min(bytes, length - from);
    if (take != 0)
      slice.push_back({const_cast<char*>(static_cast<const char*>(base)) + from, take});
    bytes -= take;
    from = 0;
  };
  add(frame.head.data(), frame.head.size());
  for (const iovec& part : frame.payload) {
    if (bytes == 0) break;
    add(part.iov_base, part.iov_len);
  }
  return slice;
}

}  // namespace

absl::StatusOr<Progress> RdmaLink::Send(OutgoingFrame* frame) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(PollLocked());
  if (!outgoing_.active) {
    RETURN_IF_ERROR(Plan(frame));
    outgoing_.active = true;
  }
  for (const auto step : {&RdmaLink::PostWrites, &RdmaLink::PostSegments}) {
    auto progress = (this->*step)(frame);
    if (!progress.ok()) return Fail(progress.status());
    if (*progress == Progress::kAgain) return progress;
  }
  if (first_work_ <= outgoing_.await_work) return Progress::kAgain;
  outgoing_ = {};
  return Progress::kDone;
}

absl::Status RdmaLink::Plan(OutgoingFrame* frame) {
  outgoing_ = {};
  outgoing_.payload_inline = true;
  auto header = DecodeFrameHeader(frame->head);  // a test may send anything
  if (header.ok() && header->kind == FrameKind::kRequest && !server()) {
    PlanRequest(frame, header->request_id);
  } else if (header.ok() && header->kind == FrameKind::kReply && server()) {
    RETURN_IF_ERROR(PlanReply(frame, header->request_id));
  }
  outgoing_.stream_bytes =
      frame->head.size() + (outgoing_.payload_inline ? TotalBytes(frame->payload) : 0);
  return absl::OkStatus();
}

void RdmaLink::PlanRequest(OutgoingFrame* frame, uint64_t id) {
  const auto describe = [](const Memory& memory, RemotePieces* pieces) {
    for (size_t i = 0; i < memory.parts.size(); ++i) {
      const iovec& part = memory.parts[i];
      pieces->push_back({reinterpret_cast<uint64_t>(part.iov_base),
                         static_cast<uint32_t>(part.iov_len), memory.regions[i]->rkey});
    }
  };
  Exposed exposed;
  if (TotalBytes(frame->payload) > kPayloadInSend) {
    exposed.sources = MemoryFor(frame->payload, RdmaReach::kReadAndWrite);
    if (exposed.sources.bounce.size() != 0) {
      CopyTo(exposed.sources.bounce.data(), frame->payload);
    }
    describe(exposed.sources, &outgoing_.first.sources);
    outgoing_.payload_inline = exposed.sources.parts.empty();
  }
  if (TotalBytes(frame->reply_into) > kPayloadInSend) {
    exposed.sinks = MemoryFor(frame->reply_into, RdmaReach::kReadAndWrite);
    describe(exposed.sinks, &outgoing_.first.sinks);
  }
  if (outgoing_.first.begins_frame()) exposed_[id] = std::move(exposed);
}

absl::Status RdmaLink::PlanReply(OutgoingFrame* frame, uint64_t id) {
  auto found = sinks_.find(id);
  if (found == sinks_.end()) return absl::OkStatus();
  const Sinks sinks = std::move(found->second);
  sinks_.erase(found);
  const uint64_t total = TotalBytes(frame->payload);
  if (total <= kPayloadInSend || total > TotalOf(sinks.pieces)) return absl::OkStatus();
  // The client has given up, and its memory with it.
  if (absl::Now() > sinks.deadline) return Fail(Broken("a reply is too late for"));
  outgoing_.from = MemoryFor(frame->payload, RdmaReach::kNone);
  if (outgoing_.from.parts.empty()) return absl::OkStatus();
  if (outgoing_.from.bounce.size() != 0) CopyTo(outgoing_.from.bounce.data(), frame->payload);
  outgoing_.writes = SpreadTransfers(outgoing_.from.parts, sinks.pieces, total, kLongestTransfer);
  outgoing_.payload_inline = false;
  outgoing_.first.written = true;
  return absl::OkStatus();
}

absl::StatusOr<Progress> RdmaLink::PostWrites(OutgoingFrame* frame) {
  Outgoing& out = outgoing_;
  while (out.next_write < out.writes.size()) {
    if (!QueueHasRoom()) return Progress::kAgain;
    const RdmaTransfer& write = out.writes[out.next_write];
    const bool last = out.next_write + 1 == out.writes.size();
    if (last && frame->owner != nullptr) out.keep = std::move(*frame->owner);
    const bool bounced = out.from.bounce.size() != 0;
    RETURN_IF_ERROR(endpoint_->PostTransfer(IBV_WR_RDMA_WRITE, write,
                                            out.from.regions[write.part]->lkey, NextSignal(last)));
    Work& work = works_.emplace_back();
    work.foreign = !bounced && frame->owner == nullptr;
    if (last) {
      if (work.foreign) out.await_work = first_work_ + works_.size() - 1;
      work.keep = std::move(bounced ? out.from.bounce : out.keep);
    }
    frame->sent_bytes += write.bytes;
    ++out.next_write;
  }
  return Progress::kDone;
}

absl::StatusOr<Progress> RdmaLink::PostSegments(OutgoingFrame* frame) {
  Outgoing& out = outgoing_;
  while (out.stream_sent < out.stream_bytes) {
    if (!credits_.MaySendData() || free_slots_.empty() || !QueueHasRoom()) {
      return Progress::kAgain;
    }
    const size_t room = endpoint_->segment_bytes() - SegmentOverhead(out.first);
    const size_t bytes = std::min(room, out.stream_bytes - out.stream_sent);
    RETURN_IF_ERROR(Post(&out.first, Slice(*frame, out.stream_sent, bytes), false));
    out.first = {};
    out.stream_sent += bytes;
    frame->sent_bytes += bytes;
  }
  return Progress::kDone;
}

}  // namespace penstock::net
