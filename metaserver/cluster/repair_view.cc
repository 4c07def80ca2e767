#include "metaserver/cluster/repair_view.h"

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

namespace penstock::metaserver {
namespace {

constexpr size_t kMaxLines = 8;    // of one kind
constexpr size_t kMaxServers = 4;  // in one line

std::string Text(absl::Duration time) {
  if (time < absl::Minutes(2)) return absl::StrCat(absl::ToInt64Seconds(time), " s");
  return absl::StrCat(absl::ToInt64Minutes(time), " min");
}

// A target that groups wait for.
struct Awaited {
  uint32_t groups = 0;
  absl::Duration since = absl::InfiniteDuration();  // of the group that waits longest
};

class RepairLines {
 public:
  RepairLines(const ViewSources& from, ClusterView& view) : from_(from), view_(view) {}

  void Run() {
    for (const auto& [id, group] : from_.members.groups()) Count(group);
    SayUnavailable();
    SayAwaited();
    SaySyncing();
    SayStuck();
    SayMoving();
    if (waiting_ > 0) {
      Say(waiting_,
          " groups have a member that is offline: writes to them wait until it returns or "
          "leaves them, which takes seconds where another copy is online");
    }
  }

 private:
  template <typename... Parts>
  void Say(const Parts&... parts) {
    view_.problems.push_back(absl::StrCat(parts...));
  }

  void Count(const Membership& group) {
    const uint32_t goal = ReplicationOf(from_, group.id.storage_class);
    const size_t in_sync = group.in_sync();
    wire::RepairInfo& info = view_.repair;
    if (in_sync < goal) info.set_below_goal(info.below_goal() + 1);
    if (in_sync == 1 && goal > 1) info.set_one_copy(info.one_copy() + 1);
    const bool moving = goal > 0 && group.members.size() > goal && in_sync >= goal;
    if (moving) info.set_moving(info.moving() + 1);
    if (group.has_syncing() && !moving) info.set_syncing(info.syncing() + 1);
    if (group.reconciling()) info.set_reconciling(info.reconciling() + 1);
    for (const GroupMember& member : group.members) {
      if (!moving && member.state == wire::MEMBER_SYNCING &&
          IsOnline(from_.inventory, member.target)) {
        ++syncing_[member.target];
      }
    }
    const std::string state = GroupState(group, from_.inventory, goal);
    if (state == "unavailable") return CountUnavailable(group);
    const bool all_online =
        std::all_of(group.members.begin(), group.members.end(),
                    [&](const GroupMember& m) { return IsOnline(from_.inventory, m.target); });
    if (!all_online) ++waiting_;
    if (group.members.size() < goal) CountMissing(group);
  }

  // It waits for one copy in sync; while reconciling, for all that count.
  void CountUnavailable(const Membership& group) {
    if (group.reconciling()) {
      const bool all_back =
          std::all_of(group.basis.begin(), group.basis.end(),
                      [&](TargetId target) { return IsOnline(from_.inventory, target); });
      ++(all_back ? comparing_ : reconciling_);
    } else {
      ++unavailable_;
    }
    for (TargetId target : group.basis) {
      if (!group.reconciling() && group.Find(target) == nullptr) continue;
      if (!IsOnline(from_.inventory, target)) needed_.insert(target);
    }
  }

  void CountMissing(const Membership& group) {
    view_.repair.set_missing(view_.repair.missing() + 1);
    auto notes = from_.notes.find(group.id);
    if (notes == from_.notes.end()) return;
    const absl::Duration since = notes->second.below_goal_since;
    for (const auto* list : {&group.basis, &group.former}) {
      for (TargetId target : *list) {
        if (group.Find(target) != nullptr || IsOnline(from_.inventory, target)) continue;
        Awaited& awaited = awaited_[target];
        ++awaited.groups;
        awaited.since = std::min(awaited.since, since);
      }
    }
    if (!group.has_syncing() && from_.now - since > from_.options.repair_after + absl::Seconds(5)) {
      ++stuck_;
    }
  }

  std::string Name(TargetId target) const {
    auto found = from_.inventory.targets.find(target);
    if (found == from_.inventory.targets.end()) return absl::StrCat("target ", target.value());
    return Describe(from_.inventory, found->second);
  }
  // The servers of those that are needed, for "start ...".
  std::string NeededServers() const {
    absl::btree_set<ServerId> servers;
    for (TargetId target : needed_) {
      auto found = from_.inventory.targets.find(target);
      if (found != from_.inventory.targets.end()) servers.insert(found->second.server());
    }
    std::string text;
    size_t named = 0;
    for (ServerId server : servers) {
      if (++named > kMaxServers) {
        absl::StrAppend(&text, " and ", servers.size() - kMaxServers, " more");
        break;
      }
      absl::StrAppend(&text, text.empty() ? "" : ", ",
                      Describe(from_.inventory.servers.at(server)));
    }
    return text;
  }

  void SayUnavailable() {
    if (unavailable_ > 0) {
      Say(unavailable_,
          " groups have no copy online: their files cannot be read until one is back: ",
          "bring back ", NeededServers());
    }
    if (reconciling_ > 0) {
      Say(reconciling_,
          " groups have no copy in sync, because all their machines have started "
          "again, and wait for every copy that counts: bring back ",
          NeededServers());
    }
    if (comparing_ > 0) {
      Say(comparing_,
          " groups have no copy in sync, because all their machines have started again: "
          "their copies are being compared, which ends by itself");
    }
  }

  void SayAwaited() {
    size_t lines = 0;
    for (const auto& [target, awaited] : awaited_) {
      if (++lines > kMaxLines) {
        Say(awaited_.size() - kMaxLines, " more targets are away: see `penstock target ls`");
        return;
      }
      const absl::Duration away = from_.now - awaited.since;
      const absl::Duration left = from_.options.repair_after - away;
      Say(Name(target), " is away since ", Text(away), ": ", awaited.groups,
          " groups are a copy short; ",
          left > absl::ZeroDuration()
              ? absl::StrCat("another target takes over in ", Text(left), " unless it returns")
              : "other targets take over as far as they have room; bring it back to be done "
                "sooner");
    }
  }

  void SaySyncing() {
    size_t lines = 0;
    for (const auto& [target, groups] : syncing_) {
      if (++lines > kMaxLines) {
        Say(syncing_.size() - kMaxLines, " more targets are being brought up to date");
        return;
      }
      const wire::SyncProgress& progress = from_.inventory.targets.at(target).syncing;
      Say(groups, " groups are being brought up to date on ", Name(target), ": ",
          progress.groups_left(), " left, ", progress.chunks_done(), " chunks compared, ",
          progress.bytes_fetched() >> 20, " MiB fetched; it ends by itself");
    }
  }

  void SayMoving() {
    if (view_.repair.moving() == 0) return;
    Say(view_.repair.moving(),
        " groups are moving to other targets, with all their copies in sync "
        "meanwhile; it ends by itself");
  }

  void SayStuck() {
    if (stuck_ == 0) return;
    Say(stuck_,
        " groups are a copy short and no target can take it: start a chunkserver on another "
        "machine (or rack), or free space on those that are there");
  }

  const ViewSources& from_;
  ClusterView& view_;
  uint32_t unavailable_ = 0;
  uint32_t reconciling_ = 0;  // and a copy is not back
  uint32_t comparing_ = 0;    // and all are back
  uint32_t waiting_ = 0;
  uint32_t stuck_ = 0;
  absl::btree_map<TargetId, Awaited> awaited_;
  absl::btree_map<TargetId, uint32_t> syncing_;  // groups
  absl::btree_set<TargetId> needed_;             // by groups that are unavailable
};

}  // namespace

void AddRepair(const ViewSources& sources, ClusterView& view) { RepairLines(sources, view).Run(); }

}  // namespace penstock::metaserver
