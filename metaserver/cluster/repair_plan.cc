#include "metaserver/cluster/repair_plan.h"

#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>

#include "metaserver/cluster/drain_plan.h"
#include "metaserver/cluster/group_joins.h"
#include "metaserver/cluster/rebalance_step.h"
#include "metaserver/cluster/surplus.h"

namespace penstock::metaserver {
namespace {

class Planner {
 public:
  explicit Planner(const RepairSources& from)
      : from_(from),
        joins_(
            from.options,
            GatherTargetFacts(from.inventory, from.members, from.now, from.options.offline_after),
            from.members),
        draft_(joins_.draft()) {
    for (const auto& [id, facts] : joins_.all_facts()) {
      if (facts.serving()) live_.insert(id);
      if (!facts.domain.empty()) domains_.insert(facts.domain);
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
      EndMove(id);
    }
    for (GroupId id : BelowGoal()) {
      if (plan_.returned + plan_.replaced >= kMaxJoinsPerTick) break;
      Join(id);
    }
    DrainStep drains = PlanDrains(from_.members, from_.classes, joins_);
    plan_.drained = drains.moved;
    plan_.stuck = std::move(drains.stuck);
    plan_.rebalance = StepRebalance(from_.rebalance, from_.now, from_.options, from_.members,
                                    from_.classes, joins_);
    AskToDrop();
    plan_.groups = draft_.Changes();
    return std::move(plan_);
  }

 private:
  const TargetFacts& Facts(TargetId target) const { return joins_.Facts(target); }
  uint32_t Goal(GroupId id) const { return GoalOf(from_.classes, id); }

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
    const auto surplus = SurplusOf(group, Goal(group.id), joins_.all_facts());
    // In the chain's order, so that none of them changes places with another: a predecessor may
    // have pending what its successor was not given yet.
    for (const GroupMember& member : group.members) {
      const TargetId target = member.target;
      if (!notes.synced.contains(target) || !Facts(target).serving()) continue;
      if (surplus && surplus->target == target) continue;
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

  // It leaves as a failed one does, but first the lead goes where it belongs.
  void TakeSurplus(const Membership& group, const GroupNotes& notes) {
    const uint32_t goal = Goal(group.id);
    const auto surplus = SurplusOf(group, goal, joins_.all_facts());
    if (!surplus || draft_.Find(group.id)->epoch != group.epoch) return;
    if (surplus->state != wire::MEMBER_IN_SYNC) {
      if (Facts(surplus->target).map_version < notes.published) return;
      plan_.surplus += draft_.Try(&MemberTable::PlanRemove, group.id, surplus->target, live_);
    } else if (const auto lead = LeadToPass(group, surplus->target, goal, joins_.all_facts())) {
      if (!draft_.Try(&MemberTable::PlanDemote, group.id, *lead, live_)) return;
      joins_.PassLead(*lead, *draft_.Find(group.id));
      ++plan_.leads;
    } else {
      plan_.surplus += draft_.Try(&MemberTable::PlanDemote, group.id, surplus->target, live_);
    }
  }

  // The new member was lost: nobody leaves before another comes.
  void EndMove(GroupId id) {
    const Membership& group = *draft_.Find(id);
    if (!group.leaving.valid() || group.members.size() > Goal(id)) return;
    draft_.Try(&MemberTable::PlanStay, id);
  }

  // Members share a failure domain, though there are enough of them. Where there are not, they have
  // to: labels of racks may change.
  bool IsCrowded(const Membership& group) const {
    return CopiesApart(group, joins_.all_facts()) <
           std::min<size_t>(Goal(group.id), domains_.size());
  }

  // Those that may get a member now, most urgent first.
  std::vector<GroupId> BelowGoal() const {
    std::vector<std::pair<size_t, GroupId>> groups;
    for (const auto& [id, base] : from_.members.groups()) {
      const Membership& group = *draft_.Find(id);
      if (group.has_syncing() || (group.members.size() >= Goal(id) && !IsCrowded(group))) continue;
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
    GroupJoins::Search search;
    bool given_up = false;  // one that is to leave is not waited for
    size_t awaited = 0;
    for (TargetId target : group.Left()) {
      const TargetFacts& facts = Facts(target);
      if (facts.draining) {
        given_up = true;
        search.preferred = facts.onto;
      }
      awaited += IsAwaited(group, target) ? 1 : 0;
      if (!MayReturn(group, target)) continue;
      returns = true;
      if (!joins_.HasRepairTurn(target)) continue;
      plan_.returned += joins_.Add(id, target);
      return;
    }
    const size_t missing = Goal(id) - std::min<size_t>(Goal(id), group.members.size());
    // With none missing it is crowded: the copy that would be alone elsewhere is lost.
    const bool at_once = missing == 0 || (given_up && missing > awaited);
    if (returns || !(at_once || GraceIsOver(id))) return;
    if (const std::optional<TargetId> other = joins_.Pick(group, search)) {
      plan_.replaced += joins_.Add(id, *other);
    }
  }

  // It is away for less than the grace, as far as is known, and nobody said that it will not
  // return.
  bool IsAwaited(const Membership& group, TargetId target) const {
    const TargetFacts& facts = Facts(target);
    if (facts.draining || facts.serving() || !joins_.all_facts().contains(target)) return false;
    const bool given_time =
        facts.health != TargetFacts::Health::kSilent || facts.unheard < from_.options.repair_after;
    return given_time && joins_.IsApart(group, target);
  }

  bool MayReturn(const Membership& group, TargetId target) const {
    const TargetFacts& facts = Facts(target);
    // A draining one comes back only where everything hangs on one copy.
    if (!facts.serving() || (facts.draining && group.in_sync() > 1)) return false;
    if (joins_.IsApart(group, target)) return true;
    // Where no failure domain is left for it, two copies in one are better than one.
    return group.members.size() < Goal(group.id) &&
           CopiesApart(group, joins_.all_facts()) >= domains_.size();
  }

  bool GraceIsOver(GroupId id) const {
    auto notes = from_.notes.find(id);
    return notes != from_.notes.end() &&
           from_.now - notes->second.below_goal_since >= from_.options.repair_after;
  }

  // A group that changes now is asked about at the next tick, by its new epoch. All its copies have
  // to be online: what is recorded as in sync may have died with its disk.
  void AskToDrop() {
    for (const auto& [id, group] : from_.members.groups()) {
      if (group.former.empty() || !IsWhole(group, Goal(id), joins_.all_facts())) continue;
      auto notes = from_.notes.find(id);
      if (notes == from_.notes.end() || *draft_.Find(id) != group) continue;
      const bool apart = CopiesApart(group, joins_.all_facts()) >= Goal(id);
      for (TargetId target : from_.members.MayDrop(id)) {
        if (!Facts(target).serving() || notes->second.dropping.contains(target)) continue;
        if (!apart && joins_.IsApart(group, target))
          continue;  // it joins again, or is the last one
        if (plan_.drops.size() >= kMaxJoinsPerTick) return;
        wire::DropGroup& drop = plan_.drops.emplace_back();
        drop.set_storage_class(id.storage_class);
        drop.set_group(id.number);
        drop.set_epoch(group.epoch);
        drop.set_target_id(target.value());
      }
    }
  }

  const RepairSources& from_;
  GroupJoins joins_;
  MemberDraft& draft_;  // of joins_
  LiveTargets live_;
  absl::flat_hash_set<std::string> domains_;  // of all targets, away or not
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
  add("drained", drained);
  add("rebalanced", rebalance.moved);
  add("leads_passed", leads);
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
