// The metaserver in small: its rules of membership (metaserver/cluster/member_table.h).
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <iostream>

#include "tests/chunkserver/chain/simulator.h"

namespace penstock::chunkserver {
namespace {

constexpr int64_t kWatchEvery = 20;

int CountInSync(const Group& group) {
  return static_cast<int>(std::count_if(group.members.begin(), group.members.end(),
                                        [](auto& m) { return m.state == wire::MEMBER_IN_SYNC; }));
}

GroupMember* Find(Group& group, TargetId target) {
  for (GroupMember& member : group.members) {
    if (member.target == target) return &member;
  }
  return nullptr;
}

}  // namespace

void Simulator::NewGroup(Group next) {
  group_ = next;
  epoch_begun_ = now_;
  reconciled_.clear();
  if (trace_) {
    std::cout << now_ << " epoch " << next.epoch << " reconciling " << next.reconciling << ":";
    for (const GroupMember& member : next.members) {
      std::cout << " " << member.target.value()
                << (member.state == wire::MEMBER_IN_SYNC ? "" : "?");
    }
    std::cout << "\n";
  }
  for (Member& member : members_) {
    if (member.removed) continue;
    At(Pick(1, 60), [this, &member, next] { TellMember(member, next); });
  }
}

bool Simulator::HasOtherInSync(TargetId target) {
  return std::any_of(group_.members.begin(), group_.members.end(), [&](const GroupMember& m) {
    return m.target != target && m.state == wire::MEMBER_IN_SYNC && Of(m.target).alive;
  });
}

void Simulator::RemoveMember(TargetId target) {
  Group next = group_;
  ++next.epoch;
  std::erase_if(next.members, [&](const GroupMember& m) { return m.target == target; });
  Of(target).removed = true;
  Crash(Of(target), /*loses_power=*/Chance(0.3));
  NewGroup(next);
}

void Simulator::AddMember(TargetId target) {
  Group next = group_;
  ++next.epoch;
  next.members.push_back({target, wire::MEMBER_SYNCING});
  Member& member = Of(target);
  member.removed = false;
  member.lost_power = false;
  NewGroup(next);
  member.alive = true;
  member.group = next;
}

void Simulator::Rebooted(TargetId target) {
  Group next = group_;
  ++next.epoch;
  GroupMember* member = Find(next, target);
  if (next.reconciling > 0) return NewGroup(next);
  if (member == nullptr) return;
  std::erase_if(next.members, [&](const GroupMember& m) { return m.target == target; });
  next.members.push_back({target, wire::MEMBER_SYNCING});
  if (CountInSync(next) > 0) return NewGroup(next);
  // Nobody is in sync any more: every copy that counts stands first.
  const std::vector<GroupMember> others = std::exchange(next.members, {});
  for (TargetId id : basis_) next.members.push_back({id, wire::MEMBER_SYNCING});
  for (const GroupMember& other : others) {
    if (!basis_.contains(other.target)) next.members.push_back(other);
  }
  next.reconciling = static_cast<uint32_t>(basis_.size());
  NewGroup(next);
  for (TargetId id : basis_) {
    Member& back = Of(id);
    if (!std::exchange(back.removed, false)) continue;
    back.lost_power = false;
    back.alive = true;
    back.group = next;
  }
}

void Simulator::Synced(TargetId target, uint32_t epoch) {
  if (epoch != group_.epoch) return;
  GroupMember* member = Find(group_, target);
  if (member == nullptr || member->state == wire::MEMBER_IN_SYNC) return;
  if (group_.reconciling > 0) {
    if (basis_.contains(target)) reconciled_.insert(target);
    if (reconciled_ == basis_) Reconciled();
    return;
  }
  ++repairs_;
  Group next = group_;
  ++next.epoch;
  std::erase_if(next.members, [&](const GroupMember& m) { return m.target == target; });
  next.members.insert(next.members.begin() + CountInSync(next), {target, wire::MEMBER_IN_SYNC});
  basis_.insert(target);
  NewGroup(next);
}

// What no disk had survived is forgotten: the chunk goes on from what is left of it.
void Simulator::Reconciled() {
  ++repairs_;
  exchanged_epoch_ = group_.epoch;
  for (const ChunkKey& key : keys_) {
    const SimReplica::Chunk& kept = Of(*basis_.begin()).replica.Get(key);
    ChunkVersion last = kept.info.committed;
    for (TargetId id : basis_) {
      if (!last.valid() || !kept.info.exists()) last = std::max(last, Of(id).replica.Get(key).last);
      if (Of(id).replica.Get(key).bytes != kept.bytes) Fail("reconciled copies differ");
    }
    // A deletion leaves no trace: a copy that counts still, although another was alone in sync for
    // a moment, brings the chunk back (docs/decisions/2026-11-30-how-a-member-gets-in-sync.md).
    auto& history = history_[key];
    if (std::any_of(history.lower_bound(synced_[key]), history.end(),
                    [](const auto& entry) { return entry.second.deleted; })) {
      synced_[key] = std::min(synced_[key], last);
    }
    CheckSynced(key, last, "the reconciled group");
    history.erase(history.upper_bound(last), history.end());
    seen_[key] = std::min(seen_[key], last);
  }
  Group next = group_;
  ++next.epoch;
  for (GroupMember& member : next.members) {
    if (basis_.contains(member.target)) member.state = wire::MEMBER_IN_SYNC;
  }
  next.reconciling = 0;
  NewGroup(next);
}

// Copies that were taken out count until one that stayed has taken the new epoch. Not before a
// barrier has made durable what came to a member just before it was in sync: an fsync that was
// answered meanwhile had not asked it. (A member is given up after seconds, barriers are faster.)
void Simulator::Confirm() {
  if (now_ < epoch_begun_ + 2 * kWatchEvery) return;
  const bool taken =
      std::any_of(group_.members.begin(), group_.members.end(), [&](const GroupMember& m) {
        const Member& member = Of(m.target);
        return m.state == wire::MEMBER_IN_SYNC && member.alive && !member.lost_power &&
               member.group.epoch == group_.epoch;
      });
  if (!taken) return;
  basis_.clear();
  for (const GroupMember& m : group_.members) {
    if (m.state == wire::MEMBER_IN_SYNC) basis_.insert(m.target);
  }
}

void Simulator::WatchMembers() {
  Confirm();
  bool rest = calm_;
  for (Member& member : members_) {
    GroupMember* in = Find(group_, member.id);
    if (member.alive) member.replica.Barrier();
    if (member.alive && !member.removed) {
      if (calm_) TellMember(member, group_);
      BeginSync(member);
      if (member.synced_epoch > 0) {
        At(Pick(1, 40), [this, id = member.id, epoch = member.synced_epoch] { Synced(id, epoch); });
      }
    }
    const bool comes_back = options_.returning && member.removed && group_.reconciling == 0;
    if (comes_back && (calm_ || Pick(0, 15) == 0)) AddMember(member.id);
    in = Find(group_, member.id);
    if (in != nullptr && in->state != wire::MEMBER_IN_SYNC) rest = false;
  }
  if (!rest) At(kWatchEvery, [this] { WatchMembers(); });
}

// The client of an acknowledged write makes it durable on all members in sync.
void Simulator::SyncFile() {
  if (group_.reconciling > 0) return;
  for (const GroupMember& m : group_.members) {
    const Member& member = Of(m.target);
    if (m.state != wire::MEMBER_IN_SYNC) continue;
    if (!member.alive || member.lost_power || member.group.epoch != group_.epoch) return;
  }
  std::map<ChunkKey, ChunkVersion> has = seen_;
  for (const GroupMember& m : group_.members) {
    if (m.state != wire::MEMBER_IN_SYNC) continue;
    Of(m.target).replica.Barrier();
    for (auto& [key, version] : has)
      version = std::min(version, Of(m.target).replica.Get(key).last);
  }
  // A member that has less refuses, and the application hears of it.
  for (const auto& [key, version] : has) {
    if (version == seen_[key]) synced_[key] = std::max(synced_[key], version);
  }
}

}  // namespace penstock::chunkserver
