#include "chunkserver/chain/write_chain.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>

#include "chunkserver/chain/chain_write.h"
#include "chunkserver/chain/chunk_wire.h"
#include "chunkserver/chain/forward_batch.h"
#include "common/checksum.h"
#include "common/status.h"

namespace penstock::chunkserver {

struct WriteChain::Running {
  explicit Running(ChainJob* the_job)
      : job(the_job), write(the_job->key, the_job->request, &the_job->target->memory) {}

  bool done() const { return step.kind == ChainStep::Kind::kDone; }

  ChainJob* job;
  ChainWrite write;
  ChainStep step;
  ChunkLocks::Guard place;
};

namespace {

ChunkLockId LockIdOf(const ChainJob& job) { return ChunkLockId{job.target->target_id(), job.key}; }

MemberView CurrentView(const MapHolder& map, const ChainJob& job) {
  const auto current = map.Get();
  const Group* group = current->GroupOf(job.storage_class, job.key.position);
  return group == nullptr ? MemberView{} : ViewOf(*group, job.target->target_id());
}

ChainStep Finished(absl::Status status) {
  ChainStep step;
  step.kind = ChainStep::Kind::kDone;
  step.status = std::move(status);
  return step;
}

// A damaged copy is mended in a moment (scrub/copy_repair.h): behind the head the predecessor sends
// the whole chunk then, and the head's client tries again. Unless no member has it whole.
absl::Status WhileRepaired(const ChainJob& job, absl::Status status) {
  const auto info = job.target->store->Stat(job.key);
  if (!info.ok() || !info->quarantined || job.target->lost.Has(job.key)) return status;
  return absl::AbortedError("the copy here is damaged and is being repaired: try again");
}

// A version above all that the chunk ever had.
absl::StatusOr<ChunkVersion> NewVersion(ChunkStore& store, const ChainWrite& write) {
  ASSIGN_OR_RETURN(uint64_t sequence, store.NextSequence());
  if (sequence <= write.sequence_floor()) {
    RETURN_IF_ERROR(store.RaiseSequence(write.sequence_floor()));
    ASSIGN_OR_RETURN(sequence, store.NextSequence());
  }
  return ChunkVersion{write.view().epoch, sequence};
}

}  // namespace

ChainStep WriteChain::Look(Running& running) {
  const MemberView view = CurrentView(*map_, *running.job);
  if (view.member_count == 0) {
    return Finished(
        WithReason(absl::UnavailableError("no groups are known here yet"), Reason::kNoGroups));
  }
  running.job->length_delta = 0;  // what was committed so far was another write's
  auto info = running.job->target->store->Stat(running.job->key);
  if (!info.ok()) return Finished(Indefinite(info.status()));
  // What is built on nothing shows zeros around it.
  const bool builds = running.job->request.kind == ChangeKind::kWrite && view.is_head();
  if (builds && !info->exists() && !info->pending &&
      running.job->target->store->MayLack(view.group, running.job->key.content)) {
    return Finished(absl::DataLossError("the chunk may have been lost with the target's index"));
  }
  return running.write.OnLook(view, *info);
}

ChainStep WriteChain::Stage(Running& running) {
  const auto& may_stage = running.job->may_stage;
  if (absl::Status status = may_stage ? may_stage() : absl::OkStatus(); !status.ok()) {
    return Finished(status);
  }
  ChunkStore& store = *running.job->target->store;
  ChunkVersion version = running.step.version;
  if (!version.valid()) {
    auto fresh = NewVersion(store, running.write);
    if (!fresh.ok()) return Finished(fresh.status());
    version = *fresh;
  }
  absl::Status staged = store.Stage(running.job->key, version, running.job->change);
  if (absl::IsDataLoss(staged)) staged = WhileRepaired(*running.job, std::move(staged));
  return running.write.OnStaged(CurrentView(*map_, *running.job), version, staged);
}

ChainStep WriteChain::Commit(Running& running) {
  ChainJob& job = *running.job;
  if (job.request.hop == 0) {
    // Only the client's estimate of a file's blocks rests on it: no reason to refuse a write.
    if (auto info = job.target->store->Stat(job.key); info.ok() && info->pending) {
      job.length_delta = int64_t{info->pending_stored_length} - int64_t{info->stored_length};
    }
  }
  return running.write.OnCommitted(job.target->store->Commit(job.key, running.step.version));
}

void WriteChain::Advance(Running& running) {
  ChunkStore& store = *running.job->target->store;
  const ChunkKey& key = running.job->key;
  while (true) {
    switch (running.step.kind) {
      case ChainStep::Kind::kLook:
        running.step = Look(running);
        break;
      case ChainStep::Kind::kStage:
        running.step = Stage(running);
        break;
      case ChainStep::Kind::kCommit:
        running.step = Commit(running);
        break;
      case ChainStep::Kind::kDiscard:
        running.step = running.write.OnDiscarded(store.Discard(key, running.step.version));
        break;
      case ChainStep::Kind::kForward:
        return;
      case ChainStep::Kind::kDone:
        running.job->status = running.step.status;
        running.job->version = running.step.version;
        return;
    }
  }
}

void WriteChain::ForwardAll(std::vector<Running*> waiting, absl::Time deadline) {
  const auto map = map_->Get();
  std::map<uint32_t, ForwardBatch> batches;  // by server
  for (Running* running : waiting) {
    const MemberView& view = running->write.view();
    const wire::MapServer* server = map->ServerOf(view.successor);
    absl::Status status;
    if (server == nullptr) {
      status = absl::UnavailableError("the map lacks the successor's server");
    } else {
      auto [it, fresh] = batches.try_emplace(server->server_id(), *server);
      status = it->second.Add(*running->job, running->step, view);
      if (status.ok()) it->second.owners.push_back(running);
    }
    if (!status.ok()) running->step = running->write.OnReply(view, Indefinite(status));
  }
  for (auto& [id, batch] : batches) batch.Start(peers_, deadline, &stop_);
  for (auto& [id, batch] : batches) {
    const std::vector<absl::Status> replies = batch.Finish();
    for (size_t i = 0; i < batch.owners.size(); ++i) {
      auto* running = static_cast<Running*>(batch.owners[i]);
      running->step = running->write.OnReply(CurrentView(*map_, *running->job), replies[i]);
    }
  }
}

void WriteChain::Run(absl::Span<ChainJob> jobs, absl::Time deadline) {
  std::deque<Running> all;
  for (ChainJob& job : jobs) all.emplace_back(&job);
  std::vector<Running*> order;
  for (Running& running : all) order.push_back(&running);
  std::sort(order.begin(), order.end(), [](const Running* a, const Running* b) {
    return LockIdOf(*a->job) < LockIdOf(*b->job);
  });
  const Running* before = nullptr;
  for (Running* running : order) {
    if (before != nullptr && LockIdOf(*before->job) == LockIdOf(*running->job)) {
      running->step = Finished(absl::InvalidArgumentError("one chunk twice in a request"));
    } else if (auto place = locks_->Lock(LockIdOf(*running->job), deadline - absl::Now());
               place.ok()) {
      running->place = *std::move(place);
      before = running;
    } else {
      running->step = Finished(place.status());
    }
  }
  while (true) {
    std::vector<Running*> waiting;
    for (Running* running : order) {
      Advance(*running);
      if (!running->done()) {
        waiting.push_back(running);
      } else {
        running->place.Release();
      }
    }
    if (waiting.empty()) return;
    ForwardAll(std::move(waiting), deadline);
  }
}

absl::Status WriteChain::Settle(Target* target, uint32_t storage_class, const ChunkKey& key,
                                absl::Time deadline) {
  ChainJob job;
  job.target = target;
  job.storage_class = storage_class;
  job.key = key;
  const MemberView view = CurrentView(*map_, job);
  if (!view.is_member()) return absl::OkStatus();
  job.request.settle_only = true;
  job.request.epoch = view.epoch;
  job.request.hop = static_cast<uint32_t>(view.position);
  Run(absl::MakeSpan(&job, 1), deadline);
  return job.status;
}

}  // namespace penstock::chunkserver
