// How members of a simulated cluster get in sync: chunkserver/sync/group_sync.cc and group_pass.cc,
// with their decisions, their order of places and questions, and a network in between.
#include <absl/strings/str_cat.h>

#include "tests/simulation/chunkserver_process.h"

namespace penstock::simulation {
namespace {

constexpr int64_t kFetchTimeoutMs = 80;

}  // namespace

using chunkserver::SourceChunk;
using chunkserver::SyncAction;
using chunkserver::SyncDecision;
using chunkserver::SyncRole;

namespace {

SourceChunk SourceOf(const SimReplica::Chunk& chunk) {
  return SourceChunk{chunk.info.committed, chunk.info.pending, false};
}

}  // namespace

// After each change of the map.
void SimChunkserver::BeginSync() {
  const StorageClass* groups = process_->map.FindClass(1);
  if (groups == nullptr) return;
  for (Target& target : process_->targets) {
    for (const Group& group : groups->groups) {
      Target::SyncWork& work = target.sync[group.id];
      if (work.epoch == group.epoch || !target.disk->id.valid()) continue;
      work = {.epoch = group.epoch, .running = work.running};
      if (chunkserver::RoleOf(group, target.disk->id) == SyncRole::kNone) continue;
      In(Pick(0, 20), [this, &target, id = group.id] { SyncGroup(target, id); });
    }
  }
}

void SimChunkserver::SyncGroup(Target& target, GroupId id) {
  Target::SyncWork& work = target.sync[id];
  const Group group = *process_->map.FindGroup(id);
  const TargetId me = target.disk->id;
  const SyncRole role = chunkserver::RoleOf(group, me);
  if (work.running || work.synced || role == SyncRole::kNone) return;
  auto pass = std::make_shared<Pass>();
  pass->target = &target;
  pass->group = group;
  pass->rules = chunkserver::PassOf(group, me);
  for (const ChunkKey& key : parts_->keys) {
    if (GroupOfPosition(key.position, shape_.groups) == id.number) pass->keys.push_back(key);
  }
  const std::vector<TargetId> sources = chunkserver::SourcesOf(group, me);
  if (role == SyncRole::kLead) {
    pass->sources.assign(sources.begin(), sources.end());
  } else if (!sources.empty()) {
    pass->sources = {sources[work.tries % sources.size()]};
  }
  work.running = true;
  ++work.tries;
  if (role == SyncRole::kFollow && sources.empty()) return EndPass(pass, false);
  if (role == SyncRole::kFollow && Breaks(Broken::kClaimsSync)) return EndPass(pass, true);
  ListSource(pass);
}

bool SimChunkserver::GoesOn(const Pass& pass) const {
  return process_->map.FindGroup(pass.group.id)->epoch == pass.group.epoch;
}

void SimChunkserver::EndPass(const PassPtr& pass, bool well) {
  Target& target = *pass->target;
  const GroupId id = pass->group.id;
  Target::SyncWork& work = target.sync[id];
  work.running = false;
  if (!well || pass->again || !GoesOn(*pass) || target.disk->failed) {
    return In(Pick(10, 60), [this, &target, id] { SyncGroup(target, id); });
  }
  target.disk->replica.Barrier();
  work.synced = true;
  if (pass->rules.role == SyncRole::kLead) target.adopted[id] = pass->group.epoch;
  Trace(absl::StrCat("target ", target.disk->id.value(), " group ", id.number,
                     " synced as of epoch ", pass->group.epoch));
}

void SimChunkserver::ListSource(const PassPtr& pass) {
  pass->at = 0;
  if (pass->sources.empty()) return DiscardNext(pass);
  AskSource(pass, pass->keys, [this, pass](FetchResult listed) {
    if (!listed.ok()) return EndPass(pass, false);
    pass->listed = *std::move(listed);
    NextChunk(pass);
  });
}

void SimChunkserver::NextChunk(const PassPtr& pass) {
  In(Pick(0, 3), [this, pass] {
    if (!GoesOn(*pass)) return EndPass(pass, false);
    if (pass->at == pass->keys.size()) {
      pass->sources.pop_front();
      // The leader discards what is pending only when nothing was left undone.
      if (pass->rules.role == SyncRole::kLead && !pass->again) return ListSource(pass);
      return EndPass(pass, true);
    }
    const ChunkKey& key = pass->keys[pass->at];
    const chunkserver::ChunkInfo& own = pass->target->disk->replica.Get(key).info;
    const SyncDecision decision = DecideSync(pass->rules, own, SourceOf(pass->listed[pass->at]));
    if (decision.action != SyncAction::kNothing) return Examine(pass);
    NoteAbsent(*pass, key, pass->listed[pass->at]);
    pass->again |= decision.again;
    ++pass->at;
    NextChunk(pass);
  });
}

void SimChunkserver::Examine(const PassPtr& pass) {
  const ChunkKey key = pass->keys[pass->at];
  Hold(*pass->target, key, [this, pass, key] {
    AskSource(pass, {key}, [this, pass, key](const FetchResult& got) {
      if (got.ok()) Conclude(pass, got->front());
      Leave(*pass->target, key);
      if (!got.ok()) return EndPass(pass, false);
      ++pass->at;
      NextChunk(pass);
    });
  });
}

void SimChunkserver::Conclude(const PassPtr& pass, const SimReplica::Chunk& source) {
  const ChunkKey key = pass->keys[pass->at];
  Target& target = *pass->target;
  const chunkserver::ChunkInfo own = target.disk->replica.Get(key).info;
  const SyncDecision decision = DecideSync(pass->rules, own, SourceOf(source));
  if (decision.action != SyncAction::kNothing) {
    Trace(absl::StrCat("target ", target.disk->id.value(), " chunk ", key.content.value(), "/",
                       key.index, " sync ", static_cast<int>(decision.action), ": has ",
                       ToString(own.committed), " pending ",
                       ToString(own.pending.value_or(ChunkVersion{})), ", the source ",
                       ToString(source.info.committed), " pending ",
                       ToString(source.info.pending.value_or(ChunkVersion{}))));
  }
  pass->again |= decision.again;
  NoteAbsent(*pass, key, source);
  switch (decision.action) {
    case SyncAction::kNothing:
      return;
    case SyncAction::kTake:
      if (target.memory.IsDead(key.content)) return;
      target.memory.Forget(key, pass->group.epoch);
      return target.disk->replica.Adopt(key, source);
    case SyncAction::kDrop:
      target.memory.Forget(key, pass->group.epoch);
      return target.disk->replica.Drop(key, source.last);
    case SyncAction::kDiscard:
      target.disk->replica.Discard(key, *own.pending).IgnoreError();
      return;
  }
}

// Absent on both sides: here it is so as of the source's deletion.
void SimChunkserver::NoteAbsent(const Pass& pass, const ChunkKey& key,
                                const SimReplica::Chunk& source) {
  SimReplica& replica = pass.target->disk->replica;
  if (!replica.Get(key).info.exists() && !source.info.exists()) {
    replica.NoteDeleted(key, source.last);
  }
}

// The leader, when it has heard all others.
void SimChunkserver::DiscardNext(const PassPtr& pass) {
  if (!GoesOn(*pass)) return EndPass(pass, false);
  if (pass->at == pass->keys.size()) return EndPass(pass, true);
  const ChunkKey key = pass->keys[pass->at++];
  Hold(*pass->target, key, [this, pass, key] {
    SimReplica& replica = pass->target->disk->replica;
    if (replica.Get(key).info.pending) {
      replica.Discard(key, *replica.Get(key).info.pending).IgnoreError();
    }
    Leave(*pass->target, key);
    DiscardNext(pass);
  });
}

void SimChunkserver::AskSource(const PassPtr& pass, const std::vector<ChunkKey>& keys,
                               std::function<void(FetchResult)> done) {
  const TargetId source = pass->sources.front();
  const wire::MapServer* server = process_->map.ServerOf(source);
  SimChunkserver* const there = server == nullptr ? nullptr : parts_->find(server->server_id());
  if (there == nullptr) {
    return In(1, [done = std::move(done)] { done(absl::UnavailableError("unknown server")); });
  }
  const FetchCall call{source, pass->target->disk->id, pass->group.id, pass->group.epoch, keys};
  parts_->network->Call<FetchResult>(
      node_, there->node(), kFetchTimeoutMs,
      [there, call](const Reply<FetchResult>& reply) { there->Fetch(call, reply); },
      [done = std::move(done)](const absl::Status& call, const FetchResult& result) {
        done(Flat(call, result));
      });
}

}  // namespace penstock::simulation
