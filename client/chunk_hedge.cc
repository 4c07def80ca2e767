// Waiting for the reply to a read, and asking another copy when it takes long (read_pace.h).
#include <algorithm>

#include "client/chunk_tries.h"
#include "common/clock.h"
#include "common/net/payload_buffer.h"
#include "common/net/wait.h"

namespace penstock::client {
namespace {

// Of the second request, to have a connection. It is short because the first reply waits meanwhile,
// and because the caller may hold a connection that another thread waits for.
constexpr absl::Duration kStartWithin = absl::Milliseconds(50);

}  // namespace

// Which of the replies has begun to arrive; also when the call was interrupted, which shows when it
// is finished. `replies.size()`: none yet.
size_t ChunkClient::WaitBegun(absl::Span<ChunkServers::Reply* const> replies, absl::Duration until,
                              const OpContext& op) {
  absl::InlinedVector<int, 2> fds;
  for (size_t i = 0; i < replies.size(); ++i) {
    fds.push_back(replies[i]->fd());
    if (fds.back() < 0) return i;
  }
  net::WaitLimit limit;
  limit.deadline = until;
  if (op.interrupt != nullptr) limit.interrupt_fd = op.interrupt->fd();
  const auto ready = net::WaitForAny(fds, limit);
  if (ready.ok()) return *ready;
  return absl::IsDeadlineExceeded(ready.status()) ? replies.size() : 0;
}

std::unique_ptr<ChunkServers::Reply> ChunkClient::StartHedge(const ReadTarget& slow,
                                                             ReadTarget* other,
                                                             const OpContext& op) {
  std::shared_ptr<const ClusterMap> map = maps_->Get();
  for (const Member& member : ReadOrder(*map, slow.storage_class, slow.key)) {
    if (member.server == slow.member.server) continue;
    if (Suspected(member.server) || pace_.Limps(member.server, absl::Now())) break;
    if (!pace_.TakeHedge()) break;
    const absl::Span<char> into = other->into;
    *other = slow;
    other->into = into;
    other->member = member;
    auto reply = StartRead(*other, op, kStartWithin);
    if (reply.ok()) return *std::move(reply);
    pace_.GiveBackHedge();
    break;
  }
  return nullptr;
}

absl::StatusOr<wire::ChunkResult> ChunkClient::TakeReply(const ReadTarget& read,
                                                         ChunkServers::Reply* reply) {
  auto result = FinishRead(read, reply);
  if (!result.ok()) NoteFailure(read.member.server, result.status());
  return result;
}

absl::StatusOr<wire::ChunkResult> ChunkClient::AwaitRead(ReadTarget& read,
                                                         std::unique_ptr<ChunkServers::Reply> reply,
                                                         const OpContext& op) {
  const ServerId asked = read.member.server;
  const size_t bytes = read.piece.length;
  const absl::Duration over = read.started + options_.read_try;
  const absl::Duration patience = std::min(pace_.HedgeAfter(bytes), options_.read_try);
  // The second reply has memory of its own: over RDMA the other one may still write into `read`'s.
  net::PayloadBuffer apart;
  ReadTarget other;
  std::unique_ptr<ChunkServers::Reply> second;
  const auto take_second = [&] {
    auto result = TakeReply(other, second.get());
    if (!result.ok()) return result;
    reply.reset();
    std::copy_n(apart.data(), result->length(), read.into.data());
    pace_.Overtaken(asked, bytes, SystemClock()->SinceBoot() - read.started, absl::Now());
    read.member = other.member;
    return result;
  };
  const bool begun = WaitBegun({reply.get()}, read.started + patience, op) == 0;
  if (!begun && patience < options_.read_try) {
    apart = net::PayloadBuffer::Allocate(read.into.size());
    other.into = apart.span();
    second = StartHedge(read, &other, op);
  }
  if (second == nullptr) {
    if (!begun) WaitBegun({reply.get()}, over, op);
    const absl::Duration took = SystemClock()->SinceBoot() - read.started;
    auto result = TakeReply(read, reply.get());
    if (result.ok()) pace_.Answered(asked, bytes, took);
    return result;
  }
  if (WaitBegun({reply.get(), second.get()}, over, op) == 1) {
    auto result = take_second();
    return result.ok() ? result : TakeReply(read, reply.get());
  }
  const absl::Duration took = SystemClock()->SinceBoot() - read.started;
  auto result = TakeReply(read, reply.get());
  if (result.ok()) pace_.Answered(asked, bytes, took);
  if (result.ok() || !CheckInterrupt(op).ok()) return result;
  auto late = take_second();
  return late.ok() ? late : result;
}

}  // namespace penstock::client
