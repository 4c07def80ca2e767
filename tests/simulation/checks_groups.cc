// What Checks makes of a change of the cluster map, and of the end.
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "tests/simulation/checks.h"

namespace penstock::simulation {
namespace {

int CountInSync(const Group& group) {
  return static_cast<int>(std::count_if(group.members.begin(), group.members.end(),
                                        [](auto& m) { return m.state == wire::MEMBER_IN_SYNC; }));
}

std::string Describe(const Group& group) {
  std::string text = absl::StrCat("group ", group.id.number, " epoch ", group.epoch);
  if (group.reconciling > 0) absl::StrAppend(&text, " reconciling ", group.reconciling);
  absl::StrAppend(&text, ":");
  for (const GroupMember& member : group.members) {
    absl::StrAppend(&text, " ", member.target.value(),
                    member.state == wire::MEMBER_IN_SYNC ? "" : "?");
  }
  return text;
}

}  // namespace

void Checks::MapChanged(const ClusterMap& map) {
  const ClusterMap before = std::exchange(map_, map);
  if (map.version() < before.version()) Fail("the map's version goes back");
  const StorageClass* now = map.FindClass(1);
  if (now == nullptr) return;
  for (const Group& group : now->groups) {
    const Group* was = before.FindGroup(group.id);
    if (was == nullptr) {
      time_->Trace(Describe(group));
    } else if (was->epoch != group.epoch) {
      GroupChanged(*was, group);
    } else if (was->members != group.members) {
      Fail(absl::StrCat(Describe(group), " has changed within an epoch"));
    }
  }
}

void Checks::GroupChanged(const Group& before, const Group& now) {
  time_->Trace(Describe(now));
  ++counts_.epochs;
  if (now.epoch < before.epoch) Fail(absl::StrCat(Describe(now), ": the epoch goes back"));
  if ((now.reconciling > 0) != (CountInSync(now) == 0) || now.members.empty()) {
    Fail(absl::StrCat(Describe(now), ": nobody is in sync, or all exchange"));
  }
  if (before.reconciling > 0 && now.reconciling == 0) {
    Exchanged(before);
  } else {
    counts_.repairs += std::max(0, CountInSync(now) - CountInSync(before));
  }
  for (const ChunkKey& key : keys_) {
    if (GroupOf(key)->id == now.id && !IsUnlinked(key.content)) CheckInSync(now, key);
  }
}

void Checks::Exchanged(const Group& before) {
  ++counts_.exchanges;
  ++losses_[before.id];
  exchanged_[before.id] = before.epoch;
  for (const ChunkKey& key : keys_) {
    if (GroupOf(key)->id == before.id && !IsUnlinked(key.content)) ExchangedChunk(before, key);
  }
}

// What no disk had survived is forgotten: the chunk goes on from what is left of it.
void Checks::ExchangedChunk(const Group& before, const ChunkKey& key) {
  const SimReplica::Chunk& kept = copy_of_(before.members.front().target).replica->Get(key);
  ChunkVersion last = kept.info.committed;
  for (uint32_t i = 0; i < before.reconciling; ++i) {
    const SimReplica::Chunk& other = copy_of_(before.members[i].target).replica->Get(key);
    if (!last.valid() || !kept.info.exists()) last = std::max(last, other.last);
    if (other.bytes != kept.bytes) Fail("copies differ after an exchange");
  }
  // A deletion leaves no trace: a copy that counts still, although another was alone in sync for a
  // moment, brings the chunk back (docs/decisions/2026-11-30-how-a-member-gets-in-sync.md).
  History& history = history_[key];
  if (std::any_of(history.lower_bound(synced_[key]), history.end(),
                  [](const auto& entry) { return entry.second.deleted; })) {
    synced_[key] = std::min(synced_[key], last);
  }
  CheckSynced(key, last, "the exchanged group");
  for (auto it = history.upper_bound(last); it != history.end(); ++it) it->second.given_up = true;
  seen_[key] = std::min(seen_[key], last);
  acknowledged_[key] = std::min(acknowledged_[key], last);
}

void Checks::CheckEqual(const ChunkKey& key, const Group& group) {
  const SimReplica::Chunk& expected = copy_of_(group.members.front().target).replica->Get(key);
  if (expected.last < seen_[key]) Fail("the end has less than was seen");
  CheckSynced(key, expected.last, "the end");
  for (const GroupMember& member : group.members) {
    const SimReplica::Chunk& chunk = copy_of_(member.target).replica->Get(key);
    if (chunk.bytes == expected.bytes && chunk.info.committed == expected.info.committed) continue;
    Fail(absl::StrCat("target ", member.target.value(), " differs at the end"));
  }
}

void Checks::AtTheEnd() {
  for (const ChunkKey& key : keys_) {
    if (!IsUnlinked(key.content)) CheckEqual(key, *GroupOf(key));
  }
}

}  // namespace penstock::simulation
