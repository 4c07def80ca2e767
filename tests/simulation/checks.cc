#include "tests/simulation/checks.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace penstock::simulation {
namespace {

bool IsInSync(const Group& group, TargetId target) {
  return std::any_of(group.members.begin(), group.members.end(), [&](const GroupMember& member) {
    return member.target == target && member.state == wire::MEMBER_IN_SYNC;
  });
}

std::string Name(const ChunkKey& key) {
  return absl::StrCat("chunk ", key.content.value(), "/", key.index);
}

}  // namespace

void Checks::Fail(const std::string& what) {
  time_->Trace("FAILED: " + what);
  if (failure_.empty()) failure_ = absl::StrCat("at ", time_->now_ms(), ": ", what);
}

void Checks::HeadAccepts(GroupId group, uint32_t epoch, TargetId head, SessionId session) {
  const TargetId first = heads_.try_emplace({group, epoch}, head).first->second;
  if (first != head) {
    Fail(absl::StrCat("targets ", first.value(), " and ", head.value(),
                      " both accept writes as heads of group ", group.number, " in epoch ", epoch));
  }
  if (fenced_.contains(session)) {
    Fail(absl::StrCat("a write of the fenced session ", session.value(), " is accepted"));
  }
}

void Checks::Committed(TargetId target, const Group& as_seen, const ChunkKey& key) {
  if (IsUnlinked(key.content)) return;
  const SimReplica::Chunk& chunk = copy_of_(target).replica->Get(key);
  History& history = history_[key];
  const auto known = history.find(chunk.last);
  if (known != history.end() && known->second.bytes != chunk.bytes) {
    Fail(absl::StrCat("members differ in version ", ToString(chunk.last), " of ", Name(key)));
  }
  // A late message of before all lost power: a member that is not in sync may still do it.
  const uint32_t exchanged = exchanged_[as_seen.id];
  const bool lost = known == history.end() ? chunk.last.epoch <= exchanged : known->second.given_up;
  if (lost) {
    if (IsInSync(as_seen, target) && as_seen.epoch > exchanged) {
      Fail(absl::StrCat("version ", ToString(chunk.last), " of ", Name(key),
                        " was given up, and comes back"));
    }
    return;
  }
  if (known != history.end()) return;
  CheckNew(history, history.emplace(chunk.last, Content{chunk.bytes, !chunk.info.exists()}).first);
}

// Given-up contents stay in the history, to know them again, and count for nothing.
void Checks::CheckNew(History& history, History::iterator it) {
  const auto counts = [](const auto& entry) { return !entry.second.given_up; };
  const auto later = std::find_if(std::next(it), history.end(), counts);
  if (later != history.end()) {
    Fail(absl::StrCat("version ", ToString(it->first), " is committed first after ",
                      ToString(later->first)));
  }
  if (it->second.deleted) return;
  SimBytes before;
  for (auto other = history.begin(); other != it; ++other) {
    if (counts(*other)) before = other->second.bytes;
  }
  SimBytes now = it->second.bytes;
  if (now.empty()) return Fail("an empty content that is no deletion");
  const int added = now.back();
  now.pop_back();
  if (now != before) {
    Fail(absl::StrCat("version ", ToString(it->first), " does not build on the one before it"));
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
    const SimBytes& bytes = other->second.bytes;
    if (counts(*other) && std::find(bytes.begin(), bytes.end(), added) != bytes.end()) {
      Fail(absl::StrCat("write ", added, " is applied twice"));
    }
  }
}

void Checks::Discarded(TargetId target, const Group& as_seen, const ChunkKey& key,
                       ChunkVersion version) {
  // A syncing member may have what others have had done long since.
  if (!IsInSync(as_seen, target) || IsUnlinked(key.content)) return;
  const auto known = history_[key].find(version);
  if (known == history_[key].end() || known->second.given_up) return;
  Fail(absl::StrCat("a committed version is discarded: ", ToString(version), " of ", Name(key)));
}

Checks::Before Checks::ReadBegins(const ChunkKey& key) {
  const Group* group = GroupOf(key);
  return {seen_[key], group == nullptr ? 0 : losses_[group->id]};
}

void Checks::ReadEnds(const Before& before, const ChunkKey& key, const SimReplica::Chunk& chunk) {
  if (IsUnlinked(key.content)) return;
  ++counts_.reads;
  const bool lost = losses_[GroupOf(key)->id] != before.losses;
  if (!lost && chunk.last < before.seen) {
    Fail(absl::StrCat("a read of ", Name(key), " gives ", ToString(chunk.last), " after ",
                      ToString(before.seen), " was seen"));
  }
  if (chunk.last.valid() && history_[key][chunk.last].bytes != chunk.bytes) {
    Fail(absl::StrCat("a read of ", Name(key), " gives what was never written"));
  }
  if (!lost) seen_[key] = std::max(seen_[key], chunk.last);
}

void Checks::Acknowledged(const ChunkKey& key, ChunkVersion version) {
  if (IsUnlinked(key.content)) return;
  ++counts_.acknowledged;
  acknowledged_[key] = std::max(acknowledged_[key], version);
  seen_[key] = std::max(seen_[key], version);
  CheckInSync(*GroupOf(key), key);
}

// Every member in sync has what was acknowledged.
void Checks::CheckInSync(const Group& group, const ChunkKey& key) {
  for (const GroupMember& member : group.members) {
    if (member.state != wire::MEMBER_IN_SYNC) continue;
    const Copy copy = copy_of_(member.target);
    // Nobody could acknowledge anything with one that has not heard yet who it is.
    if (copy.replica == nullptr || copy.lost_power) continue;
    if (copy.replica->Get(key).last >= acknowledged_[key]) continue;
    Fail(absl::StrCat("version ", ToString(acknowledged_[key]), " of ", Name(key),
                      " was acknowledged, target ", member.target.value(), " is in sync with ",
                      ToString(copy.replica->Get(key).last)));
  }
}

void Checks::Synced(const ChunkKey& key, ChunkVersion version) {
  ++counts_.synced;
  synced_[key] = std::max(synced_[key], version);
}

void Checks::CheckSynced(const ChunkKey& key, ChunkVersion has, const std::string& who) {
  if (has >= synced_[key]) return;
  Fail(absl::StrCat(Name(key), ": ", who, " has ", ToString(has), ", but ", ToString(synced_[key]),
                    " was synced"));
}

}  // namespace penstock::simulation
