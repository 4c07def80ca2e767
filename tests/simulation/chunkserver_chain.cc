// How a simulated chunkserver carries writes: chunkserver/chain/write_chain.cc, chunk_locks.h and
// pending_settler.cc.
#include <absl/strings/str_cat.h>

#include <array>
#include <cerrno>

#include "common/status.h"
#include "tests/simulation/chunkserver_process.h"

namespace penstock::simulation {

using chunkserver::ChainStep;
using chunkserver::ChangeKind;

const Group& SimChunkserver::GroupOf(const ChunkKey& key) const {
  return *process_->map.GroupOf(1, key.position);
}

chunkserver::MemberView SimChunkserver::View(const Target& target, const ChunkKey& key) const {
  return chunkserver::ViewOf(GroupOf(key), target.disk->id);
}

void SimChunkserver::Queue(Target& target, TaskPtr task) {
  const ChunkKey key = task->call.key;
  if (!task->hold) {
    task->write =
        std::make_unique<chunkserver::ChainWrite>(key, task->call.request, &target.memory);
  }
  target.queues[key].push_back(std::move(task));
  Pump(target, key);
}

void SimChunkserver::Hold(Target& target, const ChunkKey& key, std::function<void()> hold) {
  auto task = std::make_shared<Task>();
  task->process = process_;
  task->target = &target;
  task->call.key = key;
  task->hold = std::move(hold);
  Queue(target, std::move(task));
}

void SimChunkserver::Leave(Target& target, const ChunkKey& key) {
  target.queues[key].pop_front();
  // Later, so that a walk through many chunks does not go deep.
  In(0, [this, &target, key] { Pump(target, key); });
}

void SimChunkserver::Pump(Target& target, const ChunkKey& key) {
  auto& queue = target.queues[key];
  if (queue.empty() || queue.front()->begun) return;
  const TaskPtr task = queue.front();
  task->begun = true;
  if (task->hold) return task->hold();
  task->step = task->write->Begin();
  TakeStep(task);
}

// Each step takes time, so that a crash or a new epoch may come between any two.
void SimChunkserver::TakeStep(const TaskPtr& task) {
  In(Pick(0, 2), [this, task] {
    if (task->step.kind == ChainStep::Kind::kDone) return Finish(task);
    if (task->step.kind == ChainStep::Kind::kForward) return SendForward(task);
    DoStep(*task);
    TakeStep(task);
  });
}

void SimChunkserver::DoStep(Task& task) {
  const ChunkKey& key = task.call.key;
  SimReplica& replica = task.target->disk->replica;
  const TargetId id = task.target->disk->id;
  const ChunkVersion version = task.step.version;
  const ChainStep::Kind kind = task.step.kind;
  if (kind == ChainStep::Kind::kLook) {
    task.step = task.write->OnLook(View(*task.target, key), replica.Get(key).info);
    // Absent before, and never heard of the deletion: it is absent as of the deletion now.
    if (task.call.request.kind == ChangeKind::kDelete && task.step.status.ok() &&
        task.step.kind == ChainStep::Kind::kDone && !replica.Get(key).info.exists()) {
      replica.NoteDeleted(key, task.step.version);
    }
  } else if (kind == ChainStep::Kind::kStage) {
    Stage(task);
  } else if (kind == ChainStep::Kind::kCommit) {
    const absl::Status status = replica.Commit(key, version);
    if (status.ok()) parts_->checks->Committed(id, GroupOf(key), key);
    task.step = task.write->OnCommitted(status);
  } else if (kind == ChainStep::Kind::kDiscard) {
    parts_->checks->Discarded(id, GroupOf(key), key, version);
    task.step = task.write->OnDiscarded(replica.Discard(key, version));
  }
  if (parts_->time->traces()) TraceStep(task, kind, version);
}

void SimChunkserver::Stage(Task& task) {
  const ChunkKey& key = task.call.key;
  SimReplica& replica = task.target->disk->replica;
  ChunkVersion version = task.step.version;
  absl::Status status;
  if (task.at_head() && !Breaks(Broken::kIgnoresLease)) {
    status = process_->lease.CheckStill(task.term);
    if (!status.ok()) {
      task.step.kind = ChainStep::Kind::kDone;
      task.step.status = status;
      return;
    }
  }
  if (parts_->time->Chance(parts_->full_disk)) {
    status = PosixError(ENOSPC, "disk full");
  } else {
    if (!version.valid()) {
      replica.RaiseSequence(task.write->sequence_floor());
      version = ChunkVersion{task.write->view().epoch, replica.NextSequence()};
      parts_->checks->HeadAccepts(GroupOf(key).id, version.epoch, task.target->disk->id,
                                  task.call.request.stamp.session);
    }
    status = replica.Stage(key, version, task.call.change);
  }
  task.step = task.write->OnStaged(View(*task.target, key), version, status);
}

void SimChunkserver::TraceStep(const Task& task, ChainStep::Kind done, ChunkVersion version) {
  static const std::array<const char*, 6> kNames = {"look",   "stage",   "forward",
                                                    "commit", "discard", "done"};
  const SimReplica::Chunk& chunk = task.target->disk->replica.Get(task.call.key);
  const WriteStamp& stamp = task.call.change.stamp;
  Trace(absl::StrCat("target ", task.target->disk->id.value(), " chunk ",
                     task.call.key.content.value(), "/", task.call.key.index, " epoch ",
                     GroupOf(task.call.key).epoch, " hop ", task.call.request.hop, " session ",
                     stamp.session.value(), "/", stamp.sequence, " write ", task.call.change.write,
                     ": ", kNames[static_cast<size_t>(done)], " ",
                     ToString(version.valid() ? version : task.step.version), " -> ",
                     kNames[static_cast<size_t>(task.step.kind)], " ", task.step.status.ToString(),
                     ", committed ", ToString(chunk.info.committed), " pending ",
                     ToString(chunk.info.pending.value_or(ChunkVersion{}))));
}

WriteCall SimChunkserver::MakeForward(const Task& task) const {
  const chunkserver::MemberView& view = task.write->view();
  WriteCall forward;
  forward.target = view.successor;
  forward.key = task.call.key;
  forward.change = task.call.change;
  if (task.step.whole) {
    const SimReplica::Chunk& chunk = task.target->disk->replica.Get(forward.key);
    forward.change = SimChange{};
    forward.change.kind = chunk.info.pending_deletes ? ChangeKind::kDelete : ChangeKind::kReplace;
    forward.change.whole = chunk.pending_bytes;
    if (!chunk.info.pending_deletes) {
      forward.change.channels = chunk.pending_channels.value_or(chunk.info.channels);
    }
    for (const chunkserver::ChannelRecord& record : chunk.info.channels) {
      if (record.version == task.step.version) forward.change.stamp = record.stamp;
    }
  }
  forward.request.kind = forward.change.kind;
  forward.request.stamp = forward.change.stamp;
  forward.request.epoch = view.epoch;
  forward.request.hop = static_cast<uint32_t>(view.position + 1);
  forward.request.version = task.step.version;
  forward.request.base = task.step.base;
  return forward;
}

void SimChunkserver::SendForward(const TaskPtr& task) {
  const auto answered = [this, task](const absl::Status& status) {
    task->step = task->write->OnReply(View(*task->target, task->call.key), status);
    TakeStep(task);
  };
  const wire::MapServer* server = process_->map.ServerOf(task->write->view().successor);
  SimChunkserver* const next = server == nullptr ? nullptr : parts_->find(server->server_id());
  if (next == nullptr) {
    return answered(absl::UnavailableError("the map lacks the successor's server"));
  }
  parts_->network->Call<WriteResult>(
      node_, next->node(), kForwardTimeoutMs,
      [next, forward = MakeForward(*task)](const Reply<WriteResult>& reply) {
        next->Write(forward, reply);
      },
      [this, answered](const absl::Status& call, const WriteResult& result) {
        if (!Breaks(Broken::kCommitsEarly)) answered(Flat(call, result).status());
      });
  if (Breaks(Broken::kCommitsEarly)) answered(absl::OkStatus());
}

void SimChunkserver::Finish(const TaskPtr& task) {
  absl::Status status = task->step.status;
  const ChunkKey key = task->call.key;
  if (task->call.request.hop == 0) status.Update(MayServe());
  if (task->at_head() && status.ok()) parts_->checks->Acknowledged(key, task->step.version);
  if (!status.ok()) Note(*task->target, key);
  if (status.ok()) {
    task->reply(task->step.version);
  } else {
    task->reply(status);
  }
  Target& target = *task->target;
  task->pass = {};
  target.queues[key].pop_front();
  Pump(target, key);
}

void SimChunkserver::Settle(Target& target, const ChunkKey& key,
                            std::function<void(absl::Status)> done) {
  const chunkserver::MemberView view = View(target, key);
  if (!view.is_member()) return done(absl::OkStatus());
  auto task = std::make_shared<Task>();
  task->process = process_;
  task->target = &target;
  task->call.key = key;
  task->call.request.settle_only = true;
  task->call.request.epoch = view.epoch;
  task->call.request.hop = static_cast<uint32_t>(view.position);
  task->reply = [done = std::move(done)](const WriteResult& result) { done(result.status()); };
  Queue(target, std::move(task));
}

// What stays pending because its client does not come back.
void SimChunkserver::Note(Target& target, const ChunkKey& key) {
  if (!target.noted.insert(key).second) return;
  In(Pick(50, 150), [this, &target, key] {
    target.noted.erase(key);
    if (!target.disk->replica.Get(key).info.pending) return;
    Settle(target, key, [this, &target, key](const absl::Status& status) {
      if (!status.ok()) Note(target, key);
    });
  });
}

}  // namespace penstock::simulation
