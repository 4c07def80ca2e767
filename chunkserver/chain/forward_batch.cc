#include "chunkserver/chain/forward_batch.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "chunkserver/chain/chunk_wire.h"
#include "chunkserver/chain/write_chain.h"
#include "common/checksum.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

// The answer comes before the asker gives up, so that it learns what failed.
constexpr double kShareOfTime = 0.9;
constexpr absl::Duration kLongest = absl::Seconds(30);
constexpr uint64_t kMaxPayloadBytes = 64 << 20;  // of one call; RpcServerOptions takes no more

WriteStamp StampOf(const ChunkInfo& info, ChunkVersion version) {
  for (const ChannelRecord& record : info.channels) {
    if (record.version == version) return record.stamp;
  }
  return {};
}

}  // namespace

// A few small changes may make many whole chunks go along: more than one call carries, or memory.
absl::Status ForwardBatch::Carry(absl::Span<const char> bytes) {
  if (!payload_.empty() && payload_bytes_ + bytes.size() > kMaxPayloadBytes) {
    return absl::AbortedError("too much at once for the next member: try again");
  }
  payload_bytes_ += bytes.size();
  if (!bytes.empty()) payload_.push_back({const_cast<char*>(bytes.data()), bytes.size()});
  return absl::OkStatus();
}

absl::Status ForwardBatch::AddPending(const ChainJob& job, const ChainStep& step,
                                      wire::ChunkWrite* write) {
  ASSIGN_OR_RETURN(const ChunkInfo info, job.target->store->Stat(job.key));
  if (info.pending != step.version) return absl::AbortedError("it is not pending any more");
  StampToWire(StampOf(info, step.version), write);
  if (info.pending_deletes) {
    write->set_change(wire::CHANGE_DELETE);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(std::string bytes, job.target->store->ReadPending(job.key));
  kept_.push_back(std::make_unique<std::string>(std::move(bytes)));
  const std::string& whole = *kept_.back();
  if (absl::Status room = Carry(whole); !room.ok()) {
    kept_.pop_back();
    return room;
  }
  write->set_change(wire::CHANGE_REPLACE);
  write->set_length(static_cast<uint32_t>(whole.size()));
  write->set_crc32c(Crc32c(whole));
  // One that lacks the base may also lack the writes that made it: it must know their repeats.
  for (const ChannelRecord& channel : info.channels) *write->add_channels() = ToWire(channel);
  return absl::OkStatus();
}

absl::Status ForwardBatch::Add(const ChainJob& job, const ChainStep& step, const MemberView& view) {
  wire::ChunkWrite write;
  *write.mutable_key() = ToWire(job.key);
  write.set_storage_class(job.storage_class);
  write.set_epoch(view.epoch);
  write.set_target_id(view.successor.value());
  *write.mutable_version() = ToWire(step.version);
  *write.mutable_base_version() = ToWire(step.base);
  write.set_hop(static_cast<uint32_t>(view.position) + 1);
  if (step.whole) {
    RETURN_IF_ERROR(AddPending(job, step, &write));
  } else {
    ChangeToWire(job.change, &write);
    RETURN_IF_ERROR(Carry(job.change.data));
  }
  *request_.add_writes() = std::move(write);
  return absl::OkStatus();
}

void ForwardBatch::Start(PeerClients* peers, absl::Time deadline, const net::Interrupt* stop) {
  if (request_.writes().empty()) return;
  const absl::Duration left = deadline - absl::Now();
  if (left <= absl::ZeroDuration()) {
    started_ = absl::DeadlineExceededError("no time is left to forward the write");
    return;
  }
  client_ = peers->Get(server_, request_.writes(0).hop());
  net::CallOptions options;
  options.timeout = std::min(left * kShareOfTime, kLongest);
  options.interrupt = stop;
  auto call = client_->Start(wire::METHOD_WRITE_CHUNKS, request_, options, payload_);
  if (call.ok()) {
    call_ = *std::move(call);
  } else {
    started_ = call.status();
  }
}

std::vector<absl::Status> ForwardBatch::Finish() {
  const size_t count = request_.writes_size();
  wire::WriteChunksResponse response;
  absl::Status status = started_;
  if (status.ok() && call_) status = call_->Finish(&response);
  if (absl::IsCancelled(status)) status = absl::AbortedError("this server is stopping");
  // Only an item's own answer says what became of it.
  if (!status.ok()) {
    return std::vector<absl::Status>(
        count, Annotate(IsDefiniteRefusal(status) ? absl::AbortedError(status.message()) : status,
                        absl::StrCat("server ", server_.server_id())));
  }
  if (response.results_size() != static_cast<int>(count)) {
    return std::vector<absl::Status>(count, absl::AbortedError("the successor answered in part"));
  }
  std::vector<absl::Status> statuses;
  for (const wire::ChunkResult& result : response.results()) {
    statuses.push_back(StatusOf(result));
  }
  return statuses;
}

}  // namespace penstock::chunkserver
