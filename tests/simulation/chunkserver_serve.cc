// What a simulated chunkserver answers: chunkserver/service/, with its looks at epoch, lease and
// fences in their order.
#include <algorithm>

#include "common/status.h"
#include "tests/simulation/chunkserver_process.h"

namespace penstock::simulation {

absl::Status SimChunkserver::MayServe() const {
  return Breaks(Broken::kIgnoresLease) ? absl::OkStatus() : process_->lease.Check();
}

absl::Status SimChunkserver::TooEarly() const {
  if (!process_->fences.known()) {
    return absl::UnavailableError("this server has not heard from the metaserver yet");
  }
  return MayServe();
}

SimChunkserver::Target* SimChunkserver::Find(TargetId target) {
  for (Target& here : process_->targets) {
    if (here.disk->id == target) return &here;
  }
  return nullptr;
}

absl::StatusOr<SimChunkserver::Found> SimChunkserver::FindChunk(TargetId target,
                                                                const ChunkKey& key,
                                                                uint32_t epoch) {
  Found found;
  found.group = process_->map.GroupOf(1, key.position);
  if (found.group == nullptr) {
    return WithReason(absl::UnavailableError("no groups here yet"), Reason::kNoGroups);
  }
  found.target = Find(target);
  if (found.target == nullptr) {
    return WithReason(absl::FailedPreconditionError("the target is not on this server"),
                      Reason::kNotMember);
  }
  found.view = chunkserver::ViewOf(*found.group, target);
  if (Breaks(Broken::kIgnoresEpoch)) epoch = found.view.epoch;
  RETURN_IF_ERROR(CheckEpoch(found.view, epoch));
  return found;
}

// service/write_chunks.cc
void SimChunkserver::Write(const WriteCall& call, Reply<WriteResult> reply) {
  if (absl::Status status = TooEarly(); !status.ok()) return reply(status);
  const auto found = FindChunk(call.target, call.key, call.request.epoch);
  if (!found.ok()) return reply(found.status());
  auto task = std::make_shared<Task>();
  task->process = process_;
  task->target = found->target;
  task->call = call;
  if (Breaks(Broken::kIgnoresEpoch)) task->call.request.epoch = found->view.epoch;
  if (Breaks(Broken::kForgetsRepeats)) task->call.request.stamp.session = SessionId();
  task->reply = std::move(reply);
  task->term = process_->lease.term();
  // Behind the head the write is the chain's, no longer the session's.
  if (task->at_head() && !Breaks(Broken::kIgnoresFences)) {
    auto pass = process_->fences.Enter(call.request.stamp.session);
    if (!pass.ok()) return task->reply(pass.status());
    task->pass = *std::move(pass);
  }
  Queue(*found->target, task);
}

// service/read_chunks.cc
void SimChunkserver::Read(const ReadCall& call, const Reply<ReadResult>& reply) {
  if (absl::Status status = TooEarly(); !status.ok()) return reply(status);
  const auto found = FindChunk(call.target, call.key, call.epoch);
  if (!found.ok()) return reply(found.status());
  Target& target = *found->target;
  const chunkserver::ChunkInfo& info = target.disk->replica.Get(call.key).info;
  chunkserver::ReadDecision decision = DecideRead(found->view, info);
  if (Breaks(Broken::kServesAnything)) decision.action = chunkserver::ReadAction::kServe;
  if (decision.action == chunkserver::ReadAction::kRefuse) {
    if (info.pending) Note(target, call.key);
    return reply(decision.refusal);
  }
  // The look came before the read: what it did not see pending was not committed anywhere yet, or
  // is committed here.
  if (decision.action == chunkserver::ReadAction::kServe) {
    return In(Pick(0, 2), [this, call, reply] { FinishRead(call, reply); });
  }
  Settle(target, call.key, [this, call, reply](const absl::Status& status) {
    if (!status.ok()) return reply(status);
    In(Pick(0, 2), [this, call, reply] { FinishRead(call, reply); });
  });
}

void SimChunkserver::FinishRead(const ReadCall& call, const Reply<ReadResult>& reply) {
  const SimReplica::Chunk chunk = Find(call.target)->disk->replica.Get(call.key);
  In(Pick(0, 2), [this, chunk, reply] {
    // The bytes were read while others may already have written newer ones.
    if (absl::Status status = MayServe(); !status.ok()) return reply(status);
    reply(chunk);
  });
}

// service/sync_chunks.cc
absl::Status SimChunkserver::CheckHas(Target& target, const SyncCall& call) const {
  const chunkserver::ChunkInfo& info = target.disk->replica.Get(call.key).info;
  if (info.committed >= call.version) return absl::OkStatus();
  if (!info.exists() && target.memory.Recall(call.key).floor >= call.version) {
    return absl::OkStatus();
  }
  return WithReason(absl::FailedPreconditionError("has less"), Reason::kNotDurable);
}

void SimChunkserver::Sync(const SyncCall& call, const Reply<absl::Status>& reply) {
  if (absl::Status status = TooEarly(); !status.ok()) return reply(status);
  const auto found = FindChunk(call.target, call.key, call.epoch);
  if (!found.ok()) return reply(found.status());
  if (absl::Status status = CheckHas(*found->target, call); !status.ok()) return reply(status);
  In(Pick(0, 4), [this, disk = found->target->disk, reply] {
    if (disk->failed) return reply(absl::InternalError("the disk does not sync"));
    if (!Breaks(Broken::kSyncsUnsynced)) disk->replica.Barrier();
    In(Pick(0, 2), [this, reply] { reply(MayServe()); });
  });
}

// service/list_chunks.cc and fetch_chunk.cc
void SimChunkserver::Fetch(const FetchCall& call, const Reply<FetchResult>& reply) {
  if (absl::Status status = TooEarly(); !status.ok()) return reply(status);
  const Group* group = process_->map.FindGroup(call.group);
  Target* const target = Find(call.asked);
  if (group == nullptr || target == nullptr) return reply(absl::UnavailableError("not known here"));
  const auto adopted = target->adopted.find(call.group);
  const chunkserver::SyncQuestion question{
      call.asked, call.asker, call.epoch,
      adopted != target->adopted.end() && adopted->second == call.epoch};
  const absl::Status may = MayAnswer(*group, question);
  if (!may.ok() && !Breaks(Broken::kAnswersAnyMember)) return reply(may);
  std::vector<SimReplica::Chunk> chunks;
  for (const ChunkKey& key : call.keys) {
    chunks.push_back(target->disk->replica.Get(key));
    // The asker may have to wait until it is settled, and perhaps no client comes back for it.
    if (chunks.back().info.pending && group->reconciling == 0) Note(*target, key);
  }
  In(Pick(0, 2), [this, chunks, reply] {
    if (absl::Status status = MayServe(); !status.ok()) return reply(status);
    reply(chunks);
  });
}

}  // namespace penstock::simulation
