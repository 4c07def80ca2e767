#include "metaserver/cluster/group_joins.h"

#include <algorithm>

namespace penstock::metaserver {

GroupJoins::GroupJoins(const ClusterOptions& options, TargetFactsMap facts,
                       const MemberTable& members)
    : options_(options), facts_(std::move(facts)), draft_(&members) {}

const TargetFacts& GroupJoins::Facts(TargetId target) const {
  static const TargetFacts kNone;
  auto found = facts_.find(target);
  return found == facts_.end() ? kNone : found->second;
}

bool GroupJoins::IsApart(const Membership& group, TargetId target, TargetId but) const {
  const TargetFacts& facts = Facts(target);
  return std::none_of(group.members.begin(), group.members.end(), [&](const GroupMember& m) {
    if (m.target == target) return true;
    return m.target != but && Facts(m.target).domain == facts.domain;
  });
}

bool GroupJoins::MayJoin(const Membership& group, TargetId target, TargetId but) const {
  return Facts(target).serving() && IsApart(group, target, but);
}

uint64_t GroupJoins::ExpectedBytes(const Membership& group) const {
  return Facts(group.members.front().target).bytes_each();
}

bool GroupJoins::Fits(const Membership& group, TargetId target, TargetId but,
                      uint64_t bytes) const {
  const TargetFacts& facts = Facts(target);
  return !facts.draining && MayJoin(group, target, but) && facts.HasRoom(bytes, facts.syncing);
}

std::optional<TargetId> GroupJoins::Pick(const Membership& group, const Search& search) {
  const uint64_t bytes = ExpectedBytes(group);
  const auto has_turn = [&](TargetId target) {
    return search.is_move ? HasMoveTurn(target) : HasRepairTurn(target);
  };
  if (search.preferred.valid() && Fits(group, search.preferred, search.instead_of, bytes)) {
    if (has_turn(search.preferred)) return search.preferred;
    return std::nullopt;  // its turn will come
  }
  if (!spares_) {
    spares_.emplace(facts_,
                    SpareTargets::Rules{options_.placement_seed, options_.repairs_per_target});
  }
  return spares_->Pick([&](TargetId target, const TargetFacts&) {
    return has_turn(target) && Fits(group, target, search.instead_of, bytes);
  });
}

bool GroupJoins::AnyCould(const Membership& group, TargetId instead_of) const {
  const uint64_t bytes = ExpectedBytes(group);
  return std::any_of(facts_.begin(), facts_.end(), [&](const auto& entry) {
    return Fits(group, entry.first, instead_of, bytes);
  });
}

void GroupJoins::PassLead(TargetId from, const Membership& group) {
  for (const GroupMember& member : group.members) {
    if (member.target == from || member.target == group.leaving) continue;
    if (Facts(member.target).draining) continue;
    --facts_[from].heads;
    ++facts_[member.target].heads;
    return;
  }
}

bool GroupJoins::Add(GroupId id, TargetId target) {
  if (!draft_.Try(&MemberTable::PlanAdd, id, target)) return false;
  Joined(target);
  return true;
}

bool GroupJoins::Move(GroupId id, TargetId from, TargetId to) {
  if (!draft_.Try(&MemberTable::PlanMove, id, from, to)) return false;
  Joined(to);
  return true;
}

void GroupJoins::Joined(TargetId target) {
  TargetFacts& facts = facts_[target];
  ++facts.groups;
  ++facts.syncing;
  if (spares_) spares_->Joined(target, facts);
}

}  // namespace penstock::metaserver
