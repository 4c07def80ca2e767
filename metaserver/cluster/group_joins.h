// GroupJoins says which targets may join which group at this moment, and drafts it. Part of the
// planners of repair, drain and rebalance, which share one of it and so see each other's choices.
// Pure; what it is given must outlive it.
#pragma once

#include <optional>

#include "metaserver/cluster/cluster_options.h"
#include "metaserver/cluster/member_draft.h"
#include "metaserver/cluster/spare_targets.h"
#include "metaserver/cluster/target_facts.h"

namespace penstock::metaserver {

class GroupJoins {
 public:
  GroupJoins(const ClusterOptions& options, TargetFactsMap facts, const MemberTable& members);

  const TargetFactsMap& all_facts() const { return facts_; }
  const TargetFacts& Facts(TargetId target) const;
  MemberDraft& draft() { return draft_; }
  const Membership& Group(GroupId id) const { return *draft_.Find(id); }

  // No member, and it shares no failure domain with one other than `but`.
  bool IsApart(const Membership& group, TargetId target, TargetId but = TargetId()) const;
  // It also serves.
  bool MayJoin(const Membership& group, TargetId target, TargetId but = TargetId()) const;
  // What the group will about take: its first member's share.
  uint64_t ExpectedBytes(const Membership& group) const;
  // It may take another group that a repair, or a drain or rebalance, brings.
  bool HasRepairTurn(TargetId target) const {
    return Facts(target).syncing < options_.repairs_per_target;
  }
  bool HasMoveTurn(TargetId target) const {
    return Facts(target).syncing < options_.moves_per_target;
  }

  struct Search {
    TargetId instead_of;  // a member that is to leave; may be none
    TargetId preferred;   // taken when it can be; may be none
    bool is_move = false;
  };
  // Who takes a place in the group, of those that have their turn.
  std::optional<TargetId> Pick(const Membership& group, const Search& search);
  // Whether anybody could, turn or not.
  bool AnyCould(const Membership& group, TargetId instead_of) const;

  // Another member of the group, as drafted, leads it instead of `from`.
  void PassLead(TargetId from, const Membership& group);
  bool Add(GroupId id, TargetId target);
  bool Move(GroupId id, TargetId from, TargetId to);

 private:
  bool Fits(const Membership& group, TargetId target, TargetId but, uint64_t bytes) const;
  void Joined(TargetId target);

  const ClusterOptions& options_;
  TargetFactsMap facts_;
  MemberDraft draft_;
  std::optional<SpareTargets> spares_;  // made when one is needed
};

}  // namespace penstock::metaserver
