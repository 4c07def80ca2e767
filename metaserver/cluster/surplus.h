// Which member goes when a group has more of them than its goal: one whose place another has taken
// (drain, rebalance), or a copy that came to count again. It goes only when the others are enough
// without it. Pure.
#pragma once

#include <optional>

#include "metaserver/cluster/member_table.h"
#include "metaserver/cluster/target_facts.h"

namespace penstock::metaserver {

// The leaving member; else one that shares its failure domain with another, else a draining one,
// else the last. None while fewer than `goal` of the others are in sync and serve.
std::optional<GroupMember> SurplusOf(const Membership& group, uint32_t goal,
                                     const TargetFactsMap& facts);

// Before a leaving or draining one goes, while there is a copy too many: the member next in the
// lead, when another of those that stay leads fewer groups for its size. It is demoted and comes
// back behind the others, which costs a comparison of versions; with the surplus copy as many as
// the goal stay in sync.
std::optional<TargetId> LeadToPass(const Membership& group, TargetId surplus, uint32_t goal,
                                   const TargetFactsMap& facts);

// It has its goal of members, all in sync and serving, and its epoch is confirmed. `may_fail` may
// have a disk that reports errors.
bool IsWhole(const Membership& group, uint32_t goal, const TargetFactsMap& facts,
             TargetId may_fail = TargetId());

// In how many failure domains its members are. One that is not known is in a domain of its own.
size_t CopiesApart(const Membership& group, const TargetFactsMap& facts);

}  // namespace penstock::metaserver
