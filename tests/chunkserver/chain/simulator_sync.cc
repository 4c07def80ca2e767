// How members of the simulator get in sync: chunkserver/sync/group_pass.cc on replicas in memory,
// with its decisions, its order of locks and questions, and a network in between.
#include <absl/strings/str_cat.h>

#include <iostream>

#include "tests/chunkserver/chain/simulator.h"

namespace penstock::chunkserver {
namespace {

constexpr int64_t kSourceTimeout = 80;

}  // namespace

SourceChunk Simulator::SourceOf(const SimReplica::Chunk& chunk) {
  return SourceChunk{chunk.info.committed, chunk.info.pending, false};
}

bool Simulator::GoesOn(const Pass& pass) const {
  const Member& member = *pass.member;
  return member.alive && member.incarnation == pass.incarnation &&
         member.group.epoch == pass.group.epoch;
}

void Simulator::BeginSync(Member& member) {
  if (member.syncing || member.synced_epoch == member.group.epoch) return;
  const SyncRole role = RoleOf(member.group, member.id);
  member.synced_epoch = 0;
  if (role == SyncRole::kNone) return;
  auto pass = std::make_shared<Pass>();
  pass->member = &member;
  pass->incarnation = member.incarnation;
  pass->group = member.group;
  pass->rules = PassOf(member.group, member.id);
  const std::vector<TargetId> sources = SourcesOf(member.group, member.id);
  if (role == SyncRole::kLead) {
    pass->sources.assign(sources.begin(), sources.end());
  } else if (sources.empty()) {
    return;
  } else {
    pass->sources = {sources[member.sync_tries++ % sources.size()]};
  }
  member.syncing = true;
  ListSource(pass);
}

void Simulator::EndPass(const PassPtr& pass, bool well) {
  Member& member = *pass->member;
  if (member.incarnation != pass->incarnation) return;
  member.syncing = false;
  if (!well || pass->again || !GoesOn(*pass)) return;
  member.replica.Barrier();
  member.synced_epoch = pass->group.epoch;
  if (pass->rules.role == SyncRole::kLead) member.adopted_epoch = pass->group.epoch;
  if (trace_) {
    std::cout << now_ << " member " << member.id.value() << " synced as of epoch "
              << pass->group.epoch << "\n";
  }
}

void Simulator::ListSource(const PassPtr& pass) {
  pass->at = 0;
  if (pass->sources.empty()) return DiscardNext(pass);
  AskSource(pass, keys_, [this, pass](std::optional<std::vector<SimReplica::Chunk>> listed) {
    if (!listed) return EndPass(pass, false);
    pass->listed = *std::move(listed);
    NextChunk(pass);
  });
}

void Simulator::NextChunk(const PassPtr& pass) {
  At(Pick(0, 3), [this, pass] {
    if (!GoesOn(*pass)) return EndPass(pass, false);
    if (pass->at == keys_.size()) {
      pass->sources.pop_front();
      if (pass->rules.role == SyncRole::kLead) return ListSource(pass);
      return EndPass(pass, true);
    }
    const ChunkInfo& own = pass->member->replica.Get(keys_[pass->at]).info;
    const SyncDecision decision = DecideSync(pass->rules, own, SourceOf(pass->listed[pass->at]));
    if (decision.action != SyncAction::kNothing) return Examine(pass);
    NoteAbsent(pass, keys_[pass->at], pass->listed[pass->at]);
    pass->again |= decision.again;
    ++pass->at;
    NextChunk(pass);
  });
}

void Simulator::Examine(const PassPtr& pass) {
  const ChunkKey key = keys_[pass->at];
  Hold(pass, key, [this, pass, key] {
    AskSource(pass, {key}, [this, pass, key](std::optional<std::vector<SimReplica::Chunk>> got) {
      if (got) Conclude(pass, got->front());
      Leave(pass, key);
      if (!got) return EndPass(pass, false);
      ++pass->at;
      NextChunk(pass);
    });
  });
}

void Simulator::Conclude(const PassPtr& pass, const SimReplica::Chunk& source) {
  const ChunkKey key = keys_[pass->at];
  Member& member = *pass->member;
  const SimReplica::Chunk& own = member.replica.Get(key);
  const SyncDecision decision = DecideSync(pass->rules, own.info, SourceOf(source));
  if (trace_ && decision.action != SyncAction::kNothing) {
    std::cout << now_ << " member " << member.id.value() << " chunk " << key.index << " sync "
              << static_cast<int>(decision.action) << ": has " << ToString(own.info.committed)
              << " pending " << ToString(own.info.pending.value_or(ChunkVersion{}))
              << ", the source " << ToString(source.info.committed) << " pending "
              << ToString(source.info.pending.value_or(ChunkVersion{})) << "\n";
  }
  pass->again |= decision.again;
  NoteAbsent(pass, key, source);
  switch (decision.action) {
    case SyncAction::kNothing:
      return;
    case SyncAction::kTake:
      member.memory->Forget(key, pass->group.epoch);
      return member.replica.Adopt(key, source);
    case SyncAction::kDrop:
      member.memory->Forget(key, pass->group.epoch);
      return member.replica.Drop(key, source.last);
    case SyncAction::kDiscard:
      member.replica.Discard(key, *own.info.pending).IgnoreError();
      return;
  }
}

void Simulator::NoteAbsent(const PassPtr& pass, const ChunkKey& key,
                           const SimReplica::Chunk& source) {
  SimReplica& replica = pass->member->replica;
  if (!replica.Get(key).info.exists() && !source.info.exists()) {
    replica.NoteDeleted(key, source.last);
  }
}

// The leader, when it has heard all others.
void Simulator::DiscardNext(const PassPtr& pass) {
  if (!GoesOn(*pass)) return EndPass(pass, false);
  if (pass->at == keys_.size()) return EndPass(pass, true);
  const ChunkKey key = keys_[pass->at++];
  Hold(pass, key, [this, pass, key] {
    SimReplica& replica = pass->member->replica;
    if (replica.Get(key).info.pending) {
      replica.Discard(key, *replica.Get(key).info.pending).IgnoreError();
    }
    Leave(pass, key);
    DiscardNext(pass);
  });
}

void Simulator::AskSource(const PassPtr& pass, std::vector<ChunkKey> keys, SourceAnswer answer) {
  Member& source = Of(pass->sources.front());
  auto answered = std::make_shared<bool>(false);
  auto once = [pass, answered, answer](std::optional<std::vector<SimReplica::Chunk>> chunks) {
    if (*answered || !pass->member->alive || pass->member->incarnation != pass->incarnation) return;
    *answered = true;
    answer(std::move(chunks));
  };
  At(kSourceTimeout, [once] { once(std::nullopt); });
  if (Chance(options_.loss)) return;
  At(Pick(1, 8), [this, &source, pass, keys, once] {
    const SyncQuestion question{source.id, pass->member->id, pass->group.epoch,
                                source.adopted_epoch == pass->group.epoch};
    if (!source.alive || !MayAnswer(source.group, question).ok()) {
      return At(Pick(1, 8), [once] { once(std::nullopt); });
    }
    std::vector<SimReplica::Chunk> chunks;
    for (const ChunkKey& key : keys) {
      const SimReplica::Chunk& chunk = source.replica.Get(key);
      chunks.push_back(chunk);
      // As the listing does: somebody must bring it to its end.
      if (chunk.info.pending && source.group.reconciling == 0) {
        At(Pick(20, 80), [this, &source, key] {
          if (source.alive) Settle(source, key);
        });
      }
    }
    At(Pick(1, 20), [once, chunks] { once(chunks); });
  });
}

void Simulator::Hold(const PassPtr& pass, const ChunkKey& key, std::function<void()> hold) {
  auto task = std::make_shared<Task>();
  task->hold = std::move(hold);
  Member& member = *pass->member;
  member.queues[key].push_back(task);
  Pump(member, key);
}

void Simulator::Leave(const PassPtr& pass, const ChunkKey& key) {
  Member& member = *pass->member;
  member.queues[key].pop_front();
  // Later, so that a walk through many chunks does not go deep.
  At(0, [this, &member, incarnation = member.incarnation, key] {
    if (member.alive && member.incarnation == incarnation) Pump(member, key);
  });
}

}  // namespace penstock::chunkserver
