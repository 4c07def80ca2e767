#include "tests/simulation/client.h"

#include <absl/strings/str_cat.h>

namespace penstock::simulation {
namespace {

constexpr int kMaxTries = 12;
constexpr int64_t kWatchMs = 1000;
constexpr uint32_t kChannel = 1;

}  // namespace

using chunkserver::ChangeKind;

SimClient::SimClient(const Shape& shape, Parts* parts)
    : shape_(shape), parts_(parts), node_(parts->network->Add()), left_(shape.writes) {
  NewSession();
}

void SimClient::NewSession() {
  session_ = SessionId(++parts_->last_session);
  sequence_ = 0;
}

void SimClient::Start() {
  parts_->network->Up(node_);
  FollowMap();
  parts_->network->In(node_, Pause(), [this] { NextWrite(); });
  parts_->network->In(node_, Pause(), [this] { NextRead(); });
}

int64_t SimClient::Pause() { return parts_->time->Pick(0, 2 * shape_.troubled_ms / shape_.writes); }

void SimClient::FollowMap() {
  parts_->network->Call<wire::ClusterMap>(
      node_, parts_->metaserver->node(), kWatchMs + kControlTimeoutMs,
      [this, known = map_.version()](const Reply<wire::ClusterMap>& reply) {
        parts_->metaserver->GetMap(known, kWatchMs, reply);
      },
      [this](const absl::Status& call, const wire::ClusterMap& update) {
        // Often late.
        const int64_t late = parts_->time->Pick(0, 3) == 0 ? parts_->time->Pick(0, 500) : 0;
        parts_->network->In(node_, call.ok() ? late : 100, [this, call, update] {
          if (call.ok()) map_.Apply(update).IgnoreError();
          FollowMap();
        });
      });
}

std::vector<SimClient::Member> SimClient::InSync(const ChunkKey& key) const {
  std::vector<Member> members;
  const Group* group = map_.GroupOf(1, key.position);
  if (group == nullptr) return members;
  for (const GroupMember& member : group->members) {
    if (member.state != wire::MEMBER_IN_SYNC) continue;
    const wire::MapServer* server = map_.ServerOf(member.target);
    SimChunkserver* const found = server == nullptr ? nullptr : parts_->find(server->server_id());
    if (found != nullptr) members.push_back({member.target, found, group->epoch});
  }
  return members;
}

std::vector<ChunkKey> SimClient::Keys() const {
  std::vector<ChunkKey> keys;
  for (const ChunkKey& key : parts_->keys) {
    if (!parts_->checks->IsUnlinked(key.content)) keys.push_back(key);
  }
  return keys;
}

// --- writing ---

void SimClient::NextWrite() {
  if (left_ == 0) {  // until there is more
    return parts_->network->In(node_, 100, [this] { NextWrite(); });
  }
  const std::vector<ChunkKey> keys = Keys();
  --left_;
  busy_ = true;
  tries_ = 0;
  write_ = WriteCall{};
  write_.key = keys[parts_->time->Pick(0, static_cast<int64_t>(keys.size()) - 1)];
  write_.change.kind = parts_->time->Chance(0.12) ? ChangeKind::kDelete : ChangeKind::kWrite;
  write_.change.write = ++parts_->last_write;
  write_.change.stamp = WriteStamp{session_, kChannel, ++sequence_};
  write_.request.kind = write_.change.kind;
  write_.request.stamp = write_.change.stamp;
  SendWrite();
}

void SimClient::SendWrite() {
  ++tries_;
  if (parts_->checks->IsUnlinked(write_.key.content)) return EndWrite();
  const std::vector<Member> members = InSync(write_.key);
  if (members.empty()) return WriteAnswered(absl::UnavailableError("nobody is in sync"));
  const Member& head = members.front();
  write_.target = head.target;
  write_.request.epoch = head.epoch;
  parts_->network->Call<WriteResult>(
      node_, head.server->node(), kChangeTryMs,
      [server = head.server, call = write_](const Reply<WriteResult>& reply) {
        server->Write(call, reply);
      },
      [this](const absl::Status& call, const WriteResult& result) {
        WriteAnswered(Flat(call, result));
      });
}

void SimClient::WriteAnswered(const WriteResult& result) {
  const absl::Status& status = result.status();
  const Reason reason = ReasonOf(status);
  const bool gone = parts_->checks->IsUnlinked(write_.key.content);
  if (status.ok()) {
    if (result->valid()) unsynced_[write_.key] = *result;
    return EndWrite();
  }
  if (reason == Reason::kFenced) {  // the application gets EIO
    unsynced_.clear();
    NewSession();
    return EndWrite();
  }
  if (!gone && (reason == Reason::kOldSequence || reason == Reason::kMissingBase ||
                absl::IsInvalidArgument(status))) {
    parts_->checks->Fail(absl::StrCat("a client's newest write was refused: ", status.ToString()));
  }
  const bool gives_up = tries_ > kMaxTries && !parts_->patient && parts_->time->Chance(0.3);
  if (absl::IsResourceExhausted(status) || gone || gives_up) {
    if (parts_->time->Chance(0.1)) NewSession();  // the next one mounts
    return EndWrite();
  }
  parts_->network->In(node_, parts_->time->Pick(1, 40), [this] { SendWrite(); });
}

void SimClient::EndWrite() {
  if (!unsynced_.empty() && parts_->time->Chance(0.3)) return BeginSync();
  busy_ = false;
  parts_->network->In(node_, Pause(), [this] { NextWrite(); });
}

// --- fsync: each member in sync has each version, and it survives a power cut ---

void SimClient::BeginSync() {
  sync_ = Sync{};
  sync_.versions = std::exchange(unsynced_, {});
  SendSync();
}

void SimClient::SendSync() {
  sync_.failed = false;
  std::vector<std::pair<Member, SyncCall>> calls;
  for (const auto& [key, version] : sync_.versions) {
    const std::vector<Member> members = InSync(key);
    sync_.failed |= members.empty();
    for (const Member& member : members) {
      if (sync_.done.contains({key, member.target})) continue;
      calls.push_back({member, SyncCall{member.target, key, member.epoch, version}});
    }
  }
  if (calls.empty() && !sync_.failed) return EndSync(true);
  sync_.asked = static_cast<int>(calls.size());
  for (const auto& [member, call] : calls) {
    parts_->network->Call<absl::Status>(
        node_, member.server->node(), kChangeTryMs,
        [server = member.server, call = call](const Reply<absl::Status>& reply) {
          server->Sync(call, reply);
        },
        [this, call = call](const absl::Status& made, const absl::Status& result) {
          SyncAnswered(call.key, call.target, Flat(made, result));
        });
  }
  if (calls.empty()) {
    sync_.asked = 1;
    SyncAnswered({}, {}, absl::UnavailableError("nobody is in sync"));
  }
}

void SimClient::SyncAnswered(const ChunkKey& key, TargetId target, const absl::Status& status) {
  if (status.ok()) sync_.done.insert({key, target});
  if (ReasonOf(status) == Reason::kNotDurable) sync_.tries = kMaxTries;  // EIO
  sync_.failed |= !status.ok();
  if (--sync_.asked > 0) return;
  if (!sync_.failed) return SendSync();  // all that the map names by now
  const bool given_up = ++sync_.tries > kMaxTries;
  if (given_up) return EndSync(false);
  parts_->network->In(node_, parts_->time->Pick(1, 60), [this] { SendSync(); });
}

void SimClient::EndSync(bool well) {
  for (const auto& [key, version] : sync_.versions) {
    if (well) parts_->checks->Synced(key, version);
  }
  busy_ = false;
  parts_->network->In(node_, Pause(), [this] { NextWrite(); });
}

// --- reading ---

void SimClient::NextRead() {
  const std::vector<ChunkKey> keys = Keys();
  const ChunkKey key = keys[parts_->time->Pick(0, static_cast<int64_t>(keys.size()) - 1)];
  SendRead(parts_->checks->ReadBegins(key), key, false);
}

void SimClient::SendRead(const Checks::Before& before, const ChunkKey& key, bool tail) {
  const int64_t pause = parts_->time->Pick(0, 120);
  const std::vector<Member> members = InSync(key);
  if (members.empty()) return parts_->network->In(node_, pause, [this] { NextRead(); });
  const int64_t last = static_cast<int64_t>(members.size()) - 1;
  const Member& member = members[tail ? last : parts_->time->Pick(0, last)];
  parts_->network->Call<ReadResult>(
      node_, member.server->node(), kReadTryMs,
      [server = member.server, call = ReadCall{member.target, key, member.epoch}](
          const Reply<ReadResult>& reply) { server->Read(call, reply); },
      [this, before, key, tail, pause](const absl::Status& call, const ReadResult& result) {
        if (call.ok() && result.ok()) {
          parts_->checks->ReadEnds(before, key, *result);
        } else if (call.ok() && ReasonOf(result.status()) == Reason::kPendingVersion && !tail) {
          return SendRead(before, key, true);
        }
        parts_->network->In(node_, pause, [this] { NextRead(); });
      });
}

}  // namespace penstock::simulation
