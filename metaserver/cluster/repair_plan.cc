#include "metaserver/cluster/repair_plan.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>

#include "metaserver/cluster/member_draft.h"
#include "metaserver/cluster/spare_targets.h"

namespace penstock::metaserver {
namespace {

class Planner {
 public:
  explicit Planner(const RepairSources& from)
      : from_(from),
        facts_(
            GatherTargetFacts(from.inventory, from.members, from.now, from.options.offline_after)),
        draft_(&from.members) {
    for (const auto& [id, facts] : facts_) {
      if (facts.serving()) live_.insert(id);
    }
  }

  RepairPlan Run() {
    for (const auto& [id, group] : from_.members.groups()) {
      auto notes = from_.notes.find(id);
      if (notes == from_.notes.end()) continue;
      Confirm(group, notes->second);
      TakeDropped(group, notes->second);
      TakeSynced(group, notes->second);
      TakeOut(group, notes->second);
      TakeSurplus(group, notes->second);
    }
    for (GroupId id : BelowGoal()) {
      if (plan_.returned + plan_.replaced >= kMaxJoinsPerTick) break;
      Join(id);
    }
    AskToDrop();
    plan_.groups = draft_.Changes();
    return std::move(plan_);
  }

 private:
  const TargetFacts& Facts(TargetId target) const {
    static const TargetFacts kNone;
    auto found = facts_.find(target);
    return found == facts_.end() ? kNone : found->second;
  }
  uint32_t Goal(GroupId id) const {
    auto found = from_.classes.find(id.storage_class);
    return found == from_.classes.end() ? 0 : found->second.storage_class().replication();
  }

  void Confirm(const Membership& group, const GroupNotes& notes) {
    if (group.confirmed_epoch == group.epoch) return;
    for (const GroupMember& member : group.members) {
      const TargetFacts& facts = Facts(member.target);
      if (member.state != wire::MEMBER_IN_SYNC || !facts.serving() ||
          facts.map_version < notes.published) {
        continue;
      }
      plan_.confirmed +=
          draft_.Try(&MemberTable::PlanConfirm, group.id, member.target, group.epoch);
      return;
    }
  }

  void TakeDropped(const Membership& group, const GroupNotes& notes) {
    for (TargetId target : notes.dropped) {
      plan_.dropped += draft_.Try(&MemberTable::PlanDropped, group.id, target, group.epoch);
    }
  }

  void TakeSynced(const Membership& group, const GroupNotes& notes) {
    if (notes.synced.empty()) return;
    if (group.reconciling()) {
      const bool all = std::all_of(group.basis.begin(), group.basis.end(),
                                   [&](TargetId t) { return notes.synced.contains(t); });
      if (all) {
        plan_.reconciled += draft_.Try(&MemberTable::PlanReconciled, group.id, group.epoch);
      }
      return;
    }
    const std::optional<GroupMember> surplus = SurplusOf(group);
    for (TargetId target : notes.synced) {
      if (!Facts(target).serving() || (surplus && surplus->target == target)) continue;
      // Epochs of one plan are published together: what held in the first of them holds in all.
      const uint32_t epoch = draft_.Find(group.id)->epoch;
      plan_.synced += draft_.Try(&MemberTable::PlanSynced, group.id, target, epoch);
    }
  }

  void TakeOut(const Membership& group, const GroupNotes& notes) {
    for (const GroupMember& member : group.members) {
      const TargetFacts& facts = Facts(member.target);
      if (facts.gone()) {
        plan_.removed += draft_.Try(&MemberTable::PlanRemove, group.id, member.target, live_);
      } else if (facts.health != TargetFacts::Health::kFailed) {
        continue;
      } else if (member.state == wire::MEMBER_IN_SYNC) {
        plan_.demoted += draft_.Try(&MemberTable::PlanDemote, group.id, member.target, live_);
      } else if (facts.map_version >= notes.published) {
        plan_.removed += draft_.Try(&MemberTable::PlanRemove, group.id, member.target, live_);
      }
    }
  }

  // The last of more members than the goal, while the others are enough without it.
  std::optional<GroupMember> SurplusOf(const Membership& group) const {
    const uint32_t goal = Goal(group.id);
    if (goal == 0 || group.members.size() <= goal) return std::nullopt;
    const GroupMember last = group.members.back();
    uint32_t others = 0;
    for (const GroupMember& member : group.members) {
      others += member.target != last.target && member.state == wire::MEMBER_IN_SYNC &&
                Facts(member.target).serving();
    }
    if (others < goal) return std::nullopt;
    return last;
  }

  // It leaves as a failed one does.
  void TakeSurplus(const Membership& group, const GroupNotes& notes) {
    const std::optional<GroupMember> last = SurplusOf(group);
    if (!last || draft_.Find(group.id)->epoch != group.epoch) return;
    if (last->state == wire::MEMBER_IN_SYNC) {
      plan_.surplus += draft_.Try(&MemberTable::PlanDemote, group.id, last->target, live_);
    } else if (Facts(last->target).map_version >= notes.published) {
      plan_.surplus += draft_.Try(&MemberTable::PlanRemove, group.id, last->target, live_);
    }
  }

  // Those that may get a member now, most urgent first.
  std::vector<GroupId> BelowGoal() const {
    std::vector<std::pair<size_t, GroupId>> groups;
    for (const auto& [id, base] : from_.members.groups()) {
      const Membership& group = *draft_.Find(id);
      if (group.members.size() >= Goal(id) || group.has_syncing()) continue;
      groups.emplace_back(group.in_sync(), id);
    }
    std::sort(groups.begin(), groups.end());
    std::vector<GroupId> ids;
    for (const auto& [copies, id] : groups) ids.push_back(id);
    return ids;
  }

  void Join(GroupId id) {
    const Membership& group = *draft_.Find(id);
    bool returns = false;  // one that has most of the bytes already is worth waiting for
    for (const auto* list : {&group.basis, &group.former}) {
      for (TargetId target : *list) {
        if (group.Find(target) != nullptr || !MayJoin(group, target)) continue;
        returns = true;
        if (!HasTurn(target)) continue;
        plan_.returned += Add(id, target);
        return;
      }
    }
    if (returns || !GraceIsOver(id)) return;
    if (const std::optional<TargetId> other = PickReplacement(group)) {
      plan_.replaced += Add(id, *other);
    }
  }

  bool MayJoin(const Membership& group, TargetId target) const {
    const TargetFacts& facts = Facts(target);
    if (!facts.serving()) return false;
    return std::none_of(group.members.begin(), group.members.end(), [&](const GroupMember& m) {
      return Facts(m.target).domain == facts.domain;
    });
  }
  bool HasTurn(TargetId target) const {
    return Facts(target).syncing < from_.options.repairs_per_target;
  }
  bool GraceIsOver(GroupId id) const {
    auto notes = from_.notes.find(id);
    return notes != from_.notes.end() &&
           from_.now - notes->second.below_goal_since >= from_.options.repair_after;
  }

  // What the group will about take: its first member's share.
  uint64_t ExpectedBytes(const Membership& group) const {
    const TargetFacts& source = Facts(group.members.front().target);
    return source.stored_bytes / std::max<uint32_t>(source.groups, 1);
  }
  // For this group and for those that are on their way.
  bool HasRoom(const TargetFacts& facts, uint64_t bytes) const {
    const auto needed = static_cast<double>(bytes) * (facts.syncing + 1.0) +
                        kNearlyFull * static_cast<double>(facts.capacity_bytes);
    return static_cast<double>(facts.free_bytes) >= needed;
  }

  std::optional<TargetId> PickReplacement(const Membership& group) {
    if (!spares_) {
      spares_.emplace(facts_, SpareTargets::Rules{from_.options.placement_seed,
                                                  from_.options.repairs_per_target});
    }
    const uint64_t bytes = ExpectedBytes(group);
    return spares_->Pick([&](TargetId target, const TargetFacts& facts) {
      return MayJoin(group, target) && HasRoom(facts, bytes);
    });
  }

  // A group that changes now is asked about at the next tick, by its new epoch.
  void AskToDrop() {
    for (const auto& [id, group] : from_.members.groups()) {
      if (group.former.empty() || group.members.size() < Goal(id)) continue;
      auto notes = from_.notes.find(id);
      if (notes == from_.notes.end() || *draft_.Find(id) != group) continue;
      for (TargetId target : from_.members.MayDrop(id)) {
        if (!Facts(target).serving() || notes->second.dropping.contains(target)) continue;
        if (plan_.drops.size() >= kMaxJoinsPerTick) return;
        wire::DropGroup& drop = plan_.drops.emplace_back();
        drop.set_storage_class(id.storage_class);
        drop.set_group(id.number);
        drop.set_epoch(group.epoch);
        drop.set_target_id(target.value());
      }
    }
  }

  bool Add(GroupId id, TargetId target) {
    if (!draft_.Try(&MemberTable::PlanAdd, id, target)) return false;
    TargetFacts& facts = facts_[target];
    ++facts.groups;
    ++facts.syncing;
    if (spares_) spares_->Joined(target, facts);
    return true;
  }

  const RepairSources& from_;
  TargetFactsMap facts_;
  LiveTargets live_;
  MemberDraft draft_;
  std::optional<SpareTargets> spares_;  // made when one is needed
  RepairPlan plan_;
};

}  // namespace

std::string RepairPlan::Summary() const {
  std::string text;
  auto add = [&](const char* what, size_t count) {
    if (count > 0) absl::StrAppend(&text, text.empty() ? "" : " ", what, "=", count);
  };
  add("removed", removed);
  add("demoted", demoted);
  add("surplus", surplus);
  add("returned", returned);
  add("replaced", replaced);
  add("synced", synced);
  add("reconciled", reconciled);
  add("dropped", dropped);
  return text;
}

RepairPlan PlanRepair(const RepairSources& sources) { return Planner(sources).Run(); }

std::vector<Membership> PlanReboots(const MemberTable& members,
                                    const std::vector<TargetId>& rebooted) {
  MemberDraft draft(&members);
  for (const auto& [id, group] : members.groups()) {
    for (TargetId target : rebooted) {
      const bool counts = std::binary_search(group.basis.begin(), group.basis.end(), target);
      if (group.Find(target) == nullptr && !counts) continue;
      draft.Try(&MemberTable::PlanRebooted, id, target);
    }
  }
  return draft.Changes();
}

}  // namespace penstock::metaserver
