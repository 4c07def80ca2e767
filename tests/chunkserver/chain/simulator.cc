#include "tests/chunkserver/chain/simulator.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>

namespace penstock::chunkserver {
namespace {

constexpr int64_t kCallTimeout = 60;
constexpr int kMaxTries = 12;
constexpr int64_t kChaos = 4000;

}  // namespace

Simulator::Simulator(uint64_t seed, Options options) : options_(options), random_(seed) {
  group_.epoch = 1;
  for (int i = 0; i < options_.members; ++i) {
    group_.members.push_back({TargetId(i + 1), wire::MEMBER_IN_SYNC});
    basis_.insert(TargetId(i + 1));
  }
  for (int i = 0; i < options_.members; ++i) {
    Member& member = members_.emplace_back();
    member.id = TargetId(i + 1);
    member.group = group_;
    member.memory = std::make_unique<ChunkMemory>(&clock_);
  }
  for (int i = 0; i < options_.chunks; ++i) {
    keys_.push_back(ChunkKey{static_cast<uint32_t>(i), ContentId(7), static_cast<uint32_t>(i)});
  }
  for (int i = 0; i < options_.clients; ++i) {
    Client& client = clients_.emplace_back();
    client.number = i + 1;
    client.group = group_;
  }
}

bool Simulator::Chance(double probability) {
  return !calm_ && std::uniform_real_distribution<>(0, 1)(random_) < probability;
}

int64_t Simulator::Pick(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random_);
}

void Simulator::At(int64_t delay, std::function<void()> what) {
  events_.push(Event{now_ + delay, order_++, std::move(what)});
}

void Simulator::Fail(const std::string& what) {
  if (failure_.empty()) failure_ = absl::StrCat("at ", now_, ": ", what);
}

// --- members ---

void Simulator::Deliver(Member& member, Forward forward, Answer answer) {
  auto task = std::make_shared<Task>();
  task->write = std::make_unique<ChainWrite>(forward.key, forward.request, member.memory.get());
  task->forward = std::move(forward);
  task->answer = std::move(answer);
  const ChunkKey key = task->forward.key;
  member.queues[key].push_back(task);
  Pump(member, key);
}

void Simulator::Pump(Member& member, const ChunkKey& key) {
  auto& queue = member.queues[key];
  if (queue.empty() || queue.front()->begun) return;
  std::shared_ptr<Task> task = queue.front();
  task->begun = true;
  if (task->hold) return task->hold();
  task->step = task->write->Begin();
  TakeStep(member, member.incarnation, key, task);
}

void Simulator::TakeStep(Member& member, int incarnation, const ChunkKey& key,
                         std::shared_ptr<Task> task) {
  // Each step takes time, so that a crash or a new epoch may come between any two.
  At(Pick(0, 2), [this, &member, incarnation, key, task] {
    if (!member.alive || member.incarnation != incarnation) return;
    if (task->step.kind == ChainStep::Kind::kDone) return Finish(member, key, task);
    if (task->step.kind == ChainStep::Kind::kForward) return SendForward(member, key, task);
    DoStep(member, *task);
    TakeStep(member, incarnation, key, task);
  });
}

void Simulator::DoStep(Member& member, Task& task) {
  const ChunkKey& key = task.forward.key;
  SimReplica& replica = member.replica;
  const char* const names[] = {"look", "stage", "forward", "commit", "discard", "done"};
  const std::string step = names[static_cast<int>(task.step.kind)];
  ChunkVersion version = task.step.version;
  switch (task.step.kind) {
    case ChainStep::Kind::kLook:
      task.step = task.write->OnLook(ViewOf(member.group, member.id), replica.Get(key).info);
      // Absent before, and never heard of the deletion: it is absent as of the deletion now.
      if (task.forward.request.kind == ChangeKind::kDelete && task.step.status.ok() &&
          task.step.kind == ChainStep::Kind::kDone && !replica.Get(key).info.exists()) {
        replica.NoteDeleted(key, task.step.version);
      }
      break;
    case ChainStep::Kind::kStage: {
      if (Chance(options_.full_disk)) {
        task.step = task.write->OnStaged(ViewOf(member.group, member.id), version,
                                         PosixError(ENOSPC, "disk full"));
        break;
      }
      if (!version.valid()) {
        replica.RaiseSequence(task.write->sequence_floor());
        version = ChunkVersion{task.write->view().epoch, replica.NextSequence()};
      }
      task.step = task.write->OnStaged(ViewOf(member.group, member.id), version,
                                       replica.Stage(key, version, task.forward.change));
      break;
    }
    case ChainStep::Kind::kCommit: {
      const absl::Status status = replica.Commit(key, version);
      if (status.ok()) CheckCommit(member, key);
      task.step = task.write->OnCommitted(status);
      break;
    }
    case ChainStep::Kind::kDiscard:
      // A syncing member may have what others have had done long since.
      if (ViewOf(member.group, member.id).in_sync && history_[key].contains(version)) {
        Fail(absl::StrCat("a committed version is discarded: ", ToString(version)));
      }
      task.step = task.write->OnDiscarded(replica.Discard(key, version));
      break;
    default:
      break;
  }
  if (trace_) {
    const SimReplica::Chunk& chunk = replica.Get(key);
    const WriteStamp& stamp = task.forward.change.stamp;
    std::cout << now_ << " member " << member.id.value() << " chunk " << key.index << " epoch "
              << member.group.epoch << " hop " << task.forward.request.hop << " client "
              << stamp.session.value() << "/" << stamp.sequence << " write "
              << task.forward.change.write << ": " << step << " "
              << ToString(version.valid() ? version : task.step.version) << " -> "
              << names[static_cast<int>(task.step.kind)] << " " << task.step.status.ToString()
              << ", committed " << ToString(chunk.info.committed) << " pending "
              << ToString(chunk.info.pending.value_or(ChunkVersion{})) << "\n";
  }
}

Simulator::Forward Simulator::MakeForward(Member& member, const Task& task) {
  const MemberView& view = task.write->view();
  Forward forward;
  forward.key = task.forward.key;
  forward.change = task.forward.change;
  if (task.step.whole) {
    const SimReplica::Chunk& chunk = member.replica.Get(forward.key);
    forward.change = SimChange{};
    forward.change.kind = chunk.info.pending_deletes ? ChangeKind::kDelete : ChangeKind::kReplace;
    forward.change.whole = chunk.pending_bytes;
    if (!chunk.info.pending_deletes) {
      forward.change.channels = chunk.pending_channels.value_or(chunk.info.channels);
    }
    for (const ChannelRecord& record : chunk.info.channels) {
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

void Simulator::SendForward(Member& member, const ChunkKey& key, std::shared_ptr<Task> task) {
  const TargetId successor = task->write->view().successor;
  const int incarnation = member.incarnation;
  auto answered = std::make_shared<bool>(false);
  auto reply = [this, &member, incarnation, key, task, answered](absl::Status status,
                                                                 ChunkVersion) {
    if (*answered || !member.alive || member.incarnation != incarnation) return;
    *answered = true;
    task->step = task->write->OnReply(ViewOf(member.group, member.id), status);
    TakeStep(member, incarnation, key, task);
  };
  Send(members_[successor.value() - 1], MakeForward(member, *task), reply);
  At(kCallTimeout, [reply] { reply(absl::DeadlineExceededError("no answer"), {}); });
}

void Simulator::Finish(Member& member, const ChunkKey& key, std::shared_ptr<Task> task) {
  if (task->forward.request.hop == 0 && !task->forward.request.settle_only &&
      task->step.status.ok()) {
    CheckAcknowledged(key, task->step.version);
  }
  task->answer(task->step.status, task->step.version);
  member.queues[key].pop_front();
  Pump(member, key);
}

void Simulator::Settle(Member& member, const ChunkKey& key) {
  const MemberView view = ViewOf(member.group, member.id);
  if (!view.is_member()) return;
  Forward forward;
  forward.key = key;
  forward.request.settle_only = true;
  forward.request.epoch = view.epoch;
  forward.request.hop = static_cast<uint32_t>(view.position);
  Deliver(member, std::move(forward), [](absl::Status, ChunkVersion) {});
}

void Simulator::Crash(Member& member, bool loses_power) {
  member.alive = false;
  const int incarnation = ++member.incarnation;
  if (trace_) {
    std::cout << now_ << " member " << member.id.value()
              << (loses_power ? " loses power\n" : " crashes\n");
  }
  memory_lost_ = true;
  member.queues.clear();
  member.memory = std::make_unique<ChunkMemory>(&clock_);
  member.syncing = false;
  member.synced_epoch = member.adopted_epoch = 0;
  if (loses_power) {
    member.replica.PowerCut(random_);
    member.lost_power = true;
  }
  if (member.removed) return;
  // A machine takes longer to come back than barriers are apart.
  At(Pick(loses_power ? 45 : 5, 200), [this, &member, incarnation] {
    if (member.removed || member.alive || member.incarnation != incarnation) return;
    Start(member);
  });
}

// A member that lost power serves nothing before the metaserver has heard of its new boot.
void Simulator::Start(Member& member) {
  if (std::exchange(member.lost_power, false)) {
    Rebooted(member.id);
    member.group = group_;
  } else if (Chance(0.5)) {
    member.group = group_;  // it asks for the map at its start, or soon after
  }
  member.alive = true;
}

// --- network ---

void Simulator::Send(Member& to, Forward forward,
                     std::function<void(absl::Status, ChunkVersion)> reply) {
  if (!to.alive) {
    At(Pick(1, 5), [reply] { reply(absl::UnavailableError("connection refused"), {}); });
    return;
  }
  // What is under way belongs to a connection, which dies with either process.
  const int incarnation = to.incarnation;
  const int copies = Chance(options_.loss) ? 0 : Chance(options_.doubling) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const int64_t delay = Chance(options_.long_delay) ? Pick(20, 400) : Pick(1, 8);
    At(delay, [this, &to, incarnation, forward, reply] {
      if (!to.alive || to.incarnation != incarnation) {
        return reply(absl::UnavailableError("connection broken"), {});
      }
      Deliver(to, forward, [this, reply](absl::Status status, ChunkVersion version) {
        if (Chance(options_.loss)) return;
        const int64_t back = Chance(options_.long_delay) ? Pick(20, 400) : Pick(1, 8);
        At(back, [reply, status, version] { reply(status, version); });
      });
    });
  }
}

// --- clients ---

void Simulator::StartWrite(Client& client) {
  if (client.written >= options_.writes_per_client) return;
  ++client.written;
  client.busy = true;
  client.tries = 0;
  Forward& forward = client.forward;
  forward = Forward{};
  forward.key = keys_[Pick(0, static_cast<int64_t>(keys_.size()) - 1)];
  forward.change.kind = Chance(0.15) ? ChangeKind::kDelete : ChangeKind::kWrite;
  forward.change.write = next_write_++;
  forward.change.stamp = WriteStamp{SessionId(client.number), 1, ++client.sequence};
  forward.request.kind = forward.change.kind;
  forward.request.stamp = forward.change.stamp;
  SendWrite(client);
}

void Simulator::SendWrite(Client& client) {
  ++client.tries;
  const int attempt = ++client.attempt;
  client.forward.request.epoch = client.group.epoch;
  auto reply = [this, &client, attempt](absl::Status status, ChunkVersion) {
    OnWriteAnswer(client, attempt, status);
  };
  Member& head = members_[client.group.members.front().target.value() - 1];
  Send(head, client.forward, reply);
  At(2 * kCallTimeout, [reply] { reply(absl::DeadlineExceededError("no answer"), {}); });
}

void Simulator::OnWriteAnswer(Client& client, int attempt, const absl::Status& status) {
  if (attempt != client.attempt || !client.busy) return;
  ++client.attempt;
  if (ReasonOf(status) == Reason::kOldSequence || ReasonOf(status) == Reason::kMissingBase ||
      absl::IsInvalidArgument(status)) {
    Fail(absl::StrCat("a client's newest write was refused: ", status.ToString()));
  }
  const bool give_up = client.tries > kMaxTries && Chance(0.3);
  if (status.ok() || absl::IsResourceExhausted(status) || give_up) {
    if (status.ok()) ++acknowledged_;
    client.busy = false;
    At(Pick(0, 20), [this, &client] { StartWrite(client); });
    return;
  }
  if (calm_ || Chance(0.7)) client.group = group_;
  At(Pick(1, 30), [this, &client, number = client.attempt] {
    if (client.busy && client.attempt == number) SendWrite(client);
  });
}

void Simulator::Read(Client& client) {
  const auto& choice = client.group.members[Pick(0, client.group.members.size() - 1)];
  Member& member = members_[choice.target.value() - 1];
  if (!member.alive || member.removed || member.group.epoch != client.group.epoch) return;
  const ChunkKey key = keys_[Pick(0, static_cast<int64_t>(keys_.size()) - 1)];
  const SimReplica::Chunk& chunk = member.replica.Get(key);
  const ReadDecision decision = DecideRead(ViewOf(member.group, member.id), chunk.info);
  if (decision.action == ReadAction::kSettle) return Settle(member, key);
  if (decision.action == ReadAction::kRefuse) {
    if (Chance(0.1)) Settle(member, key);  // as the settler does, later
    return;
  }
  ++served_reads_;
  if (chunk.last < seen_[key]) {
    Fail(absl::StrCat("member ", member.id.value(), " serves ", ToString(chunk.last), " after ",
                      ToString(seen_[key]), " was seen"));
  }
  if (chunk.last.valid() && history_[key][chunk.last].bytes != chunk.bytes) {
    Fail("a read gives what was never written");
  }
  seen_[key] = std::max(seen_[key], chunk.last);
}

// --- the world ---

void Simulator::Tick() {
  for (Member& member : members_) {
    if (member.alive && !member.removed && Chance(options_.crash)) Crash(member);
    if (member.alive && !member.removed && Chance(options_.power_cut)) Crash(member, true);
  }
  if (Chance(options_.blackout)) CutPower();
  if (Pick(0, 5) == 0) SyncFile();
  if (Chance(options_.new_epoch)) BeginEpoch();
  for (Client& client : clients_) {
    if (Pick(0, 2) == 0) Read(client);
  }
  if (now_ < kChaos) At(5, [this] { Tick(); });
}

// A new epoch: with one member less, or with the same ones. Who is taken out has stopped before.
void Simulator::BeginEpoch() {
  if (group_.members.size() > 1 && Chance(0.6)) {
    const TargetId out = group_.members[Pick(0, group_.members.size() - 1)].target;
    if (group_.reconciling == 0 && HasOtherInSync(out)) return RemoveMember(out);
  }
  Group next = group_;
  ++next.epoch;
  NewGroup(next);
}

void Simulator::CutPower() {
  for (Member& member : members_) {
    if (!member.removed || basis_.contains(member.id)) Crash(member, true);
  }
}

void Simulator::TellMember(Member& member, const Group& group) {
  if (member.alive && member.group.epoch < group.epoch) member.group = group;
}

void Simulator::Calm() {
  calm_ = true;
  for (Member& member : members_) {
    if (member.removed) continue;
    if (!member.alive) Start(member);
    TellMember(member, group_);
  }
  for (Client& client : clients_) client.group = group_;
}

// --- checks ---

void Simulator::CheckCommit(Member& member, const ChunkKey& key) {
  const SimReplica::Chunk& chunk = member.replica.Get(key);
  auto& history = history_[key];
  // A late message of before all lost power: a member that is not in sync may still do it.
  if (chunk.last.epoch <= exchanged_epoch_ && !history.contains(chunk.last)) {
    if (ViewOf(member.group, member.id).in_sync && member.group.epoch > exchanged_epoch_) {
      Fail(absl::StrCat("version ", ToString(chunk.last), " was given up, and comes back"));
    }
    return;
  }
  auto [it, fresh] = history.try_emplace(chunk.last, History{chunk.bytes, !chunk.info.exists()});
  if (!fresh) {
    if (it->second.bytes != chunk.bytes) {
      Fail(absl::StrCat("members differ in version ", ToString(chunk.last)));
    }
    return;
  }
  if (std::next(it) != history.end()) {
    Fail(absl::StrCat("version ", ToString(chunk.last), " is committed first after ",
                      ToString(std::next(it)->first)));
  }
  if (it->second.deleted) return;
  SimBytes before = it == history.begin() ? SimBytes{} : std::prev(it)->second.bytes;
  SimBytes now = chunk.bytes;
  if (now.empty()) return Fail("an empty content that is no deletion");
  const int added = now.back();
  now.pop_back();
  if (now != before) {
    Fail(absl::StrCat("version ", ToString(chunk.last), " does not build on the one before it"));
  }
  // A chunk's channels go with it: when it was deleted and the memory of that died with a process,
  // an unanswered write that is repeated comes after the deletion, a second time.
  auto from = history.begin();
  if (memory_lost_) {
    for (auto other = history.begin(); other != it; ++other) {
      if (other->second.deleted) from = other;
    }
  }
  for (auto other = from; other != it; ++other) {
    const auto& bytes = other->second.bytes;
    if (std::find(bytes.begin(), bytes.end(), added) != bytes.end()) {
      Fail(absl::StrCat("write ", added, " is applied twice"));
    }
  }
}

void Simulator::CheckAcknowledged(const ChunkKey& key, ChunkVersion version) {
  for (const GroupMember& in : group_.members) {
    Member& member = Of(in.target);
    if (in.state != wire::MEMBER_IN_SYNC || member.lost_power) continue;
    if (member.replica.Get(key).last < version) {
      Fail(absl::StrCat("version ", ToString(version), " is acknowledged without member ",
                        member.id.value()));
    }
  }
  seen_[key] = std::max(seen_[key], version);
}

void Simulator::CheckSynced(const ChunkKey& key, ChunkVersion has, const std::string& who) {
  if (has >= synced_[key]) return;
  Fail(absl::StrCat("chunk ", key.index, ": ", who, " has ", ToString(has), ", but ",
                    ToString(synced_[key]), " was synced"));
}

void Simulator::CheckEnd() {
  for (const Client& client : clients_) {
    if (client.busy) Fail(absl::StrCat("client ", client.number, " is never answered"));
  }
  Member& head = members_[group_.members.front().target.value() - 1];
  for (const ChunkKey& key : keys_) {
    const SimReplica::Chunk& expected = head.replica.Get(key);
    if (expected.last < seen_[key]) Fail("the end has less than was seen");
    CheckSynced(key, expected.last, "the end");
    for (const GroupMember& in : group_.members) {
      if (in.state != wire::MEMBER_IN_SYNC) {
        Fail(absl::StrCat("member ", in.target.value(), " is never in sync"));
      }
      const SimReplica::Chunk& chunk = members_[in.target.value() - 1].replica.Get(key);
      if (chunk.info.pending) {
        Fail(absl::StrCat("version ", ToString(*chunk.info.pending), " stays pending on member ",
                          in.target.value()));
      }
      if (chunk.bytes != expected.bytes || chunk.info.committed != expected.info.committed) {
        Fail(absl::StrCat("member ", in.target.value(), " differs at the end"));
      }
    }
  }
}

std::string Simulator::Run() {
  for (Client& client : clients_) StartWrite(client);
  At(1, [this] { Tick(); });
  WatchMembers();
  int settled = 0;  // a settling may be given up on the way, once or twice
  while (failure_.empty()) {
    if (events_.empty()) {
      if (settled++ == 3) break;
      for (const ChunkKey& key : keys_) {
        Settle(members_[group_.members.front().target.value() - 1], key);
      }
      continue;
    }
    Event event = events_.top();
    events_.pop();
    now_ = event.at;
    clock_.now = absl::Milliseconds(now_);
    if (now_ >= kChaos && !calm_) Calm();
    event.what();
    if (now_ > 100 * kChaos) Fail("it never comes to an end");
  }
  if (failure_.empty()) CheckEnd();
  return failure_;
}

}  // namespace penstock::chunkserver
