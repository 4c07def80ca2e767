// What a membership is in itself; how it changes is in member_table.cc.
#include <algorithm>

#include "metaserver/cluster/member_table.h"

namespace penstock::metaserver {

const GroupMember* Membership::Find(TargetId target) const {
  for (const GroupMember& member : members) {
    if (member.target == target) return &member;
  }
  return nullptr;
}

size_t Membership::in_sync() const {
  return static_cast<size_t>(std::count_if(members.begin(), members.end(), [](const auto& m) {
    return m.state == wire::MEMBER_IN_SYNC;
  }));
}

std::vector<TargetId> Membership::Left() const {
  std::vector<TargetId> left;
  for (const auto* list : {&basis, &former}) {
    for (TargetId target : *list) {
      if (Find(target) == nullptr) left.push_back(target);
    }
  }
  return left;
}

std::string CheckMembership(const Membership& m) {
  if (m.epoch == 0) return "epoch 0";
  if (m.members.empty()) return "no members";
  if (m.basis.empty()) return "empty basis";
  if (m.confirmed_epoch > m.epoch) return "an epoch was confirmed that never was";
  bool syncing = false;
  absl::flat_hash_set<TargetId> seen;
  for (const GroupMember& member : m.members) {
    if (!seen.insert(member.target).second) return "a target stands twice";
    if (Contains(m.former, member.target)) return "a member is also a former one";
    if (member.state == wire::MEMBER_SYNCING) {
      syncing = true;
    } else if (member.state != wire::MEMBER_IN_SYNC) {
      return "a member without a state";
    } else if (syncing) {
      return "an in-sync member stands behind a syncing one";
    } else if (!Contains(m.basis, member.target)) {
      return "an in-sync copy that does not count";
    }
  }
  if (m.leaving.valid() && !seen.contains(m.leaving)) return "one that is no member leaves";
  for (TargetId target : m.rebooted) {
    if (!Contains(m.basis, target)) return "a rebooted target outside the basis";
  }
  for (size_t i = 0; m.reconciling() && i < std::min(m.basis.size(), m.members.size()); ++i) {
    if (!Contains(m.basis, m.members[i].target)) return "a copy that does not count reconciles";
  }
  for (TargetId target : m.basis) {
    if (Contains(m.former, target)) return "a copy that counts may be dropped";
    if (m.reconciling() && !seen.contains(target)) return "a copy that counts is not reconciled";
  }
  return "";
}

}  // namespace penstock::metaserver
