// RdmaLink: set-up, completions and the end. Sending is in rdma_link_send.cc, receiving in
// rdma_link_receive.cc.
#include "common/net/rdma_link.h"

#include <absl/strings/str_cat.h>
#include <poll.h>

#include <algorithm>
#include <cstring>

#include "common/clock.h"
#include "common/net/rdma_failure.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr int kSignalEvery = 8;  // fewer than the send slots: some always come back
constexpr absl::Duration kLastWords = absl::Seconds(1);
constexpr uint64_t kMostBounceBytes = 64u << 20;

}  // namespace

RdmaLink::RdmaLink(std::unique_ptr<RdmaEndpoint> endpoint, std::shared_ptr<RdmaEvents> events,
                   std::string peer_address)
    : events_(std::move(events)),
      peer_address_(std::move(peer_address)),
      role_(endpoint->peer_class()),
      endpoint_(std::move(endpoint)),
      credits_(kRdmaReceiveSlots, endpoint_->peer().slots) {
  for (int slot = 0; slot < kRdmaSendSlots; ++slot) free_slots_.push_back(slot);
}

RdmaLink::~RdmaLink() { Close(); }

absl::Status RdmaLink::Broken(absl::string_view what) const {
  return RdmaError(RdmaFailure::kBroken, absl::StrCat("RDMA: ", what, " peer=", peer_address_));
}

absl::Status RdmaLink::Fail(absl::Status why) {
  if (broken_.ok()) broken_ = std::move(why);
  return broken_;
}

absl::Status RdmaLink::PollLocked() {
  if (endpoint_ == nullptr) return Fail(Broken("connection is closed"));
  if (!broken_.ok()) return broken_;
  // Asked before: what had come before the end is taken first.
  const bool gone = endpoint_->disconnected();
  ibv_wc completions[16];
  while (true) {
    auto count = endpoint_->Poll(absl::MakeSpan(completions));
    if (!count.ok()) return Fail(count.status());
    if (*count == 0) break;
    for (const ibv_wc& each : absl::MakeSpan(completions, *count)) {
      if (each.status != IBV_WC_SUCCESS) {
        (void)Fail(Broken(ibv_wc_status_str(each.status)));
      } else if ((each.wr_id & RdmaEndpoint::kReceiveFlag) != 0) {
        const auto slot = static_cast<int>(each.wr_id & ~RdmaEndpoint::kReceiveFlag);
        if (absl::Status received = OnReceived(slot, each.byte_len); !received.ok()) {
          (void)Fail(std::move(received));
        }
      } else {
        OnWorkDone(each.wr_id);
      }
    }
  }
  if (gone) return Fail(Broken("connection closed by"));
  if (!broken_.ok()) return broken_;
  return SendUpdateIfDue();
}

absl::Status RdmaLink::OnReceived(int slot, uint32_t bytes) {
  const absl::Span<char> memory = endpoint_->ReceiveSlot(slot);
  ASSIGN_OR_RETURN(Segment segment, DecodeSegment({memory.data(), bytes}));
  RETURN_IF_ERROR(credits_.OnReceived(segment.credits));
  if (segment.goodbye) goodbye_received_ = true;
  if (segment.stream.empty()) return Repost(slot);
  arrived_.push_back({slot, std::move(segment)});
  return absl::OkStatus();
}

void RdmaLink::OnWorkDone(uint64_t number) {
  while (!works_.empty() && first_work_ <= number) {
    Work& work = works_.front();
    if (work.slot >= 0) free_slots_.push_back(work.slot);
    reading_.done += work.read_bytes;
    works_.pop_front();
    ++first_work_;
  }
}

absl::Status RdmaLink::Repost(int slot) {
  // A queue pair in its error state would never give the receive back.
  if (endpoint_ == nullptr || !broken_.ok() || endpoint_->disconnected()) return absl::OkStatus();
  RETURN_IF_ERROR(endpoint_->PostReceive(slot));
  credits_.OnReposted();
  return absl::OkStatus();
}

absl::Status RdmaLink::SendUpdateIfDue() {
  if (endpoint_ == nullptr || !broken_.ok()) return absl::OkStatus();
  if (!credits_.UpdateDue() || !credits_.MaySendUpdate() || free_slots_.empty() ||
      works_.size() >= kRdmaSendQueue) {
    return absl::OkStatus();
  }
  Segment update;
  if (absl::Status sent = Post(&update, {}, false); !sent.ok()) return Fail(std::move(sent));
  return absl::OkStatus();
}

RdmaEndpoint::Signal RdmaLink::NextSignal(bool wanted) {
  if (++unsignalled_ >= kSignalEvery) wanted = true;
  if (wanted) unsignalled_ = 0;
  return {first_work_ + works_.size(), wanted};
}

bool RdmaLink::QueueHasRoom() const { return works_.size() + 2 <= kRdmaSendQueue; }

// The caller has made sure of a credit and a free slot.
absl::Status RdmaLink::Post(Segment* segment, absl::Span<const iovec> stream, bool signal) {
  const int slot = free_slots_.back();
  char* out = endpoint_->SendSlot(slot).data();
  size_t stream_bytes = 0;
  const size_t overhead = SegmentOverhead(*segment);
  for (const iovec& part : stream) {
    std::memcpy(out + overhead + stream_bytes, part.iov_base, part.iov_len);
    stream_bytes += part.iov_len;
  }
  segment->credits = credits_.TakeForSend();
  EncodeSegment(*segment, stream_bytes, out);
  RETURN_IF_ERROR(endpoint_->PostSend(slot, static_cast<uint32_t>(overhead + stream_bytes),
                                      NextSignal(signal)));
  free_slots_.pop_back();
  works_.push_back({.slot = slot});
  return absl::OkStatus();
}

RdmaLink::Memory RdmaLink::MemoryFor(absl::Span<const iovec> parts, RdmaReach reach) {
  Memory memory;
  uint64_t total = 0;
  bool registered = true;
  for (const iovec& part : parts) {
    if (part.iov_len == 0) continue;
    total += part.iov_len;
    if (!registered) continue;
    auto region = endpoint_->device().Register(role_, reach, part.iov_base, part.iov_len);
    registered = region.ok() && memory.parts.size() < kMaxDescriptors;
    if (!registered) continue;
    memory.parts.push_back(part);
    memory.regions.push_back(*region);
  }
  if (registered) return memory;
  memory = {};
  if (total > kMostBounceBytes) return memory;
  // A whole block of the pool, whose registration is there for the next one too.
  memory.bounce = PayloadBuffer::Allocate(std::max<size_t>(total, PayloadPool::kSmallest));
  auto region = endpoint_->device().Register(role_, reach, memory.bounce.data(), total);
  if (!region.ok()) return {};
  memory.parts.push_back({memory.bounce.data(), total});
  memory.regions.push_back(*region);
  return memory;
}

bool RdmaLink::ForeignMemoryInUse() const {
  return std::any_of(works_.begin(), works_.end(), [](const Work& work) { return work.foreign; });
}

uint32_t RdmaLink::WaitEvents(uint32_t wanted) const {
  return (wanted & (POLLIN | POLLOUT)) != 0 ? POLLIN : 0;
}

uint32_t RdmaLink::Ready(uint32_t events) {
  if (events == 0) return 0;
  absl::MutexLock lock(&mu_);
  if (endpoint_ == nullptr) return POLLIN | POLLHUP;
  if (absl::Status armed = endpoint_->Rearm(); !armed.ok()) (void)Fail(std::move(armed));
  const bool broken = !PollLocked().ok();
  uint32_t ready = POLLOUT;
  if (broken) ready |= POLLIN | POLLHUP;
  if (!arrived_.empty() || goodbye_received_ || reading_.active) ready |= POLLIN;
  return ready;
}

int RdmaLink::fd() const {
  absl::MutexLock lock(&mu_);
  return endpoint_ == nullptr ? -1 : endpoint_->fd();
}

// A server's last reply may still be on its way: the events' thread waits for it. Whatever touches
// memory of others ends here and now.
void RdmaLink::Close() {
  absl::MutexLock lock(&mu_);
  if (endpoint_ == nullptr) return;
  // (A reply that is not wholly posted still owns what its first writes read from.)
  if (server() && PollLocked().ok() && !works_.empty() && !reading_.active && !outgoing_.active &&
      !ForeignMemoryInUse()) {
    Segment goodbye;
    goodbye.goodbye = true;
    if (!goodbye_sent_ && !free_slots_.empty() && credits_.MaySendUpdate()) {
      (void)Post(&goodbye, {}, true);
    }
    RdmaLeaver leaver;
    leaver.last_send = first_work_ + works_.size() - 1;
    for (Work& work : works_) {
      if (work.keep.size() != 0) leaver.memory.push_back(std::move(work.keep));
    }
    leaver.memory.push_back(std::move(outgoing_.keep));
    leaver.memory.push_back(std::move(outgoing_.from.bounce));
    leaver.endpoint = std::move(endpoint_);
    leaver.deadline = SystemClock()->SinceBoot() + kLastWords;
    events_->SeeOff(std::move(leaver));
  }
  endpoint_.reset();
  works_.clear();
  arrived_.clear();
  outgoing_ = {};
  reading_ = {};
  exposed_.clear();
  sinks_.clear();
}

}  // namespace penstock::net
