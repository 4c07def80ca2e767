#include "metaserver/cluster/surplus.h"

#include <algorithm>

namespace penstock::metaserver {
namespace {

const TargetFacts& FactsOf(TargetId target, const TargetFactsMap& facts) {
  static const TargetFacts kNone;
  auto found = facts.find(target);
  return found == facts.end() ? kNone : found->second;
}

// Two copies are in one failure domain while one takes the other's place, also when the third was
// lost meanwhile.
bool SharesDomain(const Membership& group, const GroupMember& member, const TargetFactsMap& facts) {
  return std::any_of(group.members.begin(), group.members.end(), [&](const GroupMember& other) {
    const std::string& domain = FactsOf(member.target, facts).domain;
    return other.target != member.target && !domain.empty() &&
           FactsOf(other.target, facts).domain == domain;
  });
}

// From the end: one that was demoted already goes on.
GroupMember Candidate(const Membership& group, const TargetFactsMap& facts) {
  if (group.leaving.valid()) return *group.Find(group.leaving);
  const GroupMember* best = nullptr;
  int best_rank = -1;
  for (auto member = group.members.rbegin(); member != group.members.rend(); ++member) {
    const int rank = (SharesDomain(group, *member, facts) ? 2 : 0) +
                     (FactsOf(member->target, facts).draining ? 1 : 0);
    if (rank <= best_rank) continue;
    best = &*member;
    best_rank = rank;
  }
  return *best;
}

}  // namespace

std::optional<GroupMember> SurplusOf(const Membership& group, uint32_t goal,
                                     const TargetFactsMap& facts) {
  if (goal == 0 || group.members.size() <= goal) return std::nullopt;
  const GroupMember candidate = Candidate(group, facts);
  uint32_t others = 0;
  for (const GroupMember& member : group.members) {
    others += member.target != candidate.target && member.state == wire::MEMBER_IN_SYNC &&
              FactsOf(member.target, facts).serving();
  }
  if (others < goal) return std::nullopt;
  return candidate;
}

std::optional<TargetId> LeadToPass(const Membership& group, TargetId surplus, uint32_t goal,
                                   const TargetFactsMap& facts) {
  const auto load = [&](TargetId target, double more) {
    const TargetFacts& of = FactsOf(target, facts);
    return (of.heads + more) / std::max(of.size, 1.0);
  };
  // Nobody knows what made one too many of the others; they just go.
  if (surplus != group.leaving && !FactsOf(surplus, facts).draining) return std::nullopt;
  std::optional<TargetId> lead;
  size_t in_sync = 0;
  bool better = false;
  for (const GroupMember& member : group.members) {
    const TargetFacts& of = FactsOf(member.target, facts);
    if (member.state != wire::MEMBER_IN_SYNC || !of.serving()) continue;
    ++in_sync;
    if (member.target == surplus || of.draining) continue;
    if (!lead) {
      lead = member.target;
    } else {
      better |= load(member.target, 1) + 1e-15 < load(*lead, 0);
    }
  }
  if (in_sync <= goal || !better || *lead != HeadOf(group, facts)) return std::nullopt;
  return lead;
}

bool IsWhole(const Membership& group, uint32_t goal, const TargetFactsMap& facts,
             TargetId may_fail) {
  const auto well = [&](TargetId target) {
    const TargetFacts& of = FactsOf(target, facts);
    return of.serving() || (target == may_fail && of.health == TargetFacts::Health::kFailed);
  };
  return group.members.size() == goal && group.confirmed_epoch == group.epoch &&
         !group.leaving.valid() &&
         std::all_of(group.members.begin(), group.members.end(), [&](const GroupMember& m) {
           return m.state == wire::MEMBER_IN_SYNC && well(m.target);
         });
}

size_t CopiesApart(const Membership& group, const TargetFactsMap& facts) {
  size_t apart = 0;
  for (auto member = group.members.begin(); member != group.members.end(); ++member) {
    const std::string& domain = FactsOf(member->target, facts).domain;
    const bool seen = std::any_of(group.members.begin(), member, [&](const GroupMember& other) {
      return !domain.empty() && FactsOf(other.target, facts).domain == domain;
    });
    apart += seen ? 0 : 1;
  }
  return apart;
}

}  // namespace penstock::metaserver
