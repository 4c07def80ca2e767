#include "metaserver/cluster/member_table.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/status.h"

namespace penstock::metaserver {
namespace {

void Insert(std::vector<TargetId>& sorted, TargetId target) {
  auto at = std::lower_bound(sorted.begin(), sorted.end(), target);
  if (at == sorted.end() || *at != target) sorted.insert(at, target);
}

void Erase(std::vector<TargetId>& sorted, TargetId target) {
  auto at = std::lower_bound(sorted.begin(), sorted.end(), target);
  if (at != sorted.end() && *at == target) sorted.erase(at);
}

void EraseMember(Membership& m, TargetId target) {
  std::erase_if(m.members, [&](const GroupMember& x) { return x.target == target; });
}

// FAILED_PRECONDITION when nobody could take over from the target.
absl::Status CheckOtherLive(const Membership& m, TargetId target, const LiveTargets& live) {
  for (const GroupMember& other : m.members) {
    if (other.target != target && other.state == wire::MEMBER_IN_SYNC &&
        live.contains(other.target)) {
      return absl::OkStatus();
    }
  }
  return absl::FailedPreconditionError(
      absl::StrCat("group ", m.id.number, " has no other live in-sync member"));
}

absl::Status NoMember(GroupId id, TargetId target) {
  return absl::NotFoundError(
      absl::StrCat("target ", target.value(), " is no member of group ", id.number));
}

// Nobody is in sync: every copy of the basis counts, also of those that had been sent away.
void Reconcile(Membership& m) {
  std::vector<GroupMember> chain;
  for (TargetId target : m.basis) chain.push_back({target, wire::MEMBER_SYNCING});
  for (const GroupMember& member : m.members) {
    if (!Contains(m.basis, member.target)) chain.push_back({member.target, wire::MEMBER_SYNCING});
  }
  m.members = std::move(chain);
}

}  // namespace

void MemberTable::Install(Membership membership) {
  const std::string problem = CheckMembership(membership);
  INVARIANT(problem.empty());
  const GroupId id = membership.id;
  groups_[id] = std::move(membership);
}

const Membership* MemberTable::Find(GroupId id) const {
  auto it = groups_.find(id);
  return it == groups_.end() ? nullptr : &it->second;
}

absl::StatusOr<const Membership*> MemberTable::Get(GroupId id) const {
  const Membership* m = Find(id);
  if (m == nullptr) return absl::NotFoundError(absl::StrCat("no group ", id.number));
  return m;
}

Membership MemberTable::NewGroup(GroupId id, const std::vector<TargetId>& members) {
  Membership m{.id = id, .epoch = 1, .confirmed_epoch = 1};
  for (TargetId target : members) {
    m.members.push_back({target, wire::MEMBER_IN_SYNC});
    Insert(m.basis, target);
  }
  return m;
}

absl::StatusOr<Membership> MemberTable::PlanRemove(GroupId id, TargetId target,
                                                   const LiveTargets& live) const {
  ASSIGN_OR_RETURN(const Membership* now, Get(id));
  if (now->Find(target) == nullptr) return NoMember(id, target);
  RETURN_IF_ERROR(CheckOtherLive(*now, target, live));
  Membership next = *now;
  ++next.epoch;
  EraseMember(next, target);
  if (next.leaving == target) next.leaving = TargetId();
  // A copy that was in sync counts until somebody has taken the new epoch.
  if (!Contains(next.basis, target)) Insert(next.former, target);
  return next;
}

absl::StatusOr<Membership> MemberTable::PlanDemote(GroupId id, TargetId target,
                                                   const LiveTargets& live) const {
  ASSIGN_OR_RETURN(const Membership* now, Get(id));
  const GroupMember* member = now->Find(target);
  if (member == nullptr) return NoMember(id, target);
  if (member->state == wire::MEMBER_SYNCING) return *now;
  RETURN_IF_ERROR(CheckOtherLive(*now, target, live));
  Membership next = *now;
  ++next.epoch;
  EraseMember(next, target);
  next.members.push_back({target, wire::MEMBER_SYNCING});
  return next;
}

absl::StatusOr<Membership> MemberTable::PlanAdd(GroupId id, TargetId target) const {
  ASSIGN_OR_RETURN(const Membership* now, Get(id));
  if (now->Find(target) != nullptr) {
    return absl::AlreadyExistsError(
        absl::StrCat("target ", target.value(), " is a member of group ", id.number));
  }
  if (now->reconciling()) {
    return absl::FailedPreconditionError(absl::StrCat("group ", id.number, " is reconciling"));
  }
  Membership next = *now;
  ++next.epoch;
  Erase(next.former, target);
  next.members.push_back({target, wire::MEMBER_SYNCING});
  return next;
}

absl::StatusOr<Membership> MemberTable::PlanMove(GroupId id, TargetId from, TargetId to) const {
  ASSIGN_OR_RETURN(const Membership* now, Get(id));
  if (now->Find(from) == nullptr) return NoMember(id, from);
  if (now->has_syncing() || now->leaving.valid()) {
    return absl::FailedPreconditionError(absl::StrCat("group ", id.number, " is not at rest"));
  }
  ASSIGN_OR_RETURN(Membership next, PlanAdd(id, to));
  next.leaving = from;
  return next;
}

absl::StatusOr<Membership> MemberTable::PlanStay(GroupId id) const {
  ASSIGN_OR_RETURN(const Membership* now, Get(id));
  Membership next = *now;
  next.leaving = TargetId();
  return next;
}

absl::StatusOr<Membership> MemberTable::PlanSynced(GroupId id, TargetId target,
                                                   uint32_t epoch) const {
  ASSIGN_OR_RETURN(const Membership* now, Get(id));
  const GroupMember* member = now->Find(target);
  if (member == nullptr) return NoMember(id, target);
  if (member->state == wire::MEMBER_IN_SYNC) return *now;
  if (epoch != now->epoch || now->reconciling()) {
    return absl::FailedPreconditionError(absl::StrCat("target ", target.value(),
                                                      " synced for epoch ", epoch, ", group ",
                                                      id.number, " is at ", now->epoch));
  }
  Membership next = *now;
  ++next.epoch;
  EraseMember(next, target);
  next.members.insert(next.members.begin() + static_cast<ptrdiff_t>(next.in_sync()),
                      {target, wire::MEMBER_IN_SYNC});
  Insert(next.basis, target);
  return next;
}

absl::StatusOr<Membership> MemberTable::PlanRebooted(GroupId id, TargetId target) const {
  ASSIGN_OR_RETURN(const Membership* now, Get(id));
  Membership next = *now;
  const GroupMember* member = now->Find(target);
  if (member == nullptr && !Contains(now->basis, target)) return NoMember(id, target);
  if (Contains(next.basis, target)) Insert(next.rebooted, target);
  if (now->reconciling()) {
    ++next.epoch;  // whatever was exchanged with the earlier boot does not count
    return next;
  }
  if (member == nullptr) return next;
  ++next.epoch;
  const bool was_in_sync = member->state == wire::MEMBER_IN_SYNC;
  EraseMember(next, target);
  next.members.push_back({target, wire::MEMBER_SYNCING});
  if (was_in_sync && next.in_sync() == 0) Reconcile(next);
  return next;
}

absl::StatusOr<Membership> MemberTable::PlanReconciled(GroupId id, uint32_t epoch) const {
  ASSIGN_OR_RETURN(const Membership* now, Get(id));
  if (!now->reconciling() || epoch != now->epoch) {
    return absl::FailedPreconditionError(
        absl::StrCat("group ", id.number, " is not reconciling in epoch ", epoch));
  }
  Membership next = *now;
  ++next.epoch;
  for (GroupMember& member : next.members) {
    if (Contains(next.basis, member.target)) member.state = wire::MEMBER_IN_SYNC;
  }
  return next;
}

absl::StatusOr<Membership> MemberTable::PlanConfirm(GroupId id, TargetId target,
                                                    uint32_t epoch) const {
  ASSIGN_OR_RETURN(const Membership* now, Get(id));
  const GroupMember* member = now->Find(target);
  if (member == nullptr || member->state != wire::MEMBER_IN_SYNC) return NoMember(id, target);
  if (epoch != now->epoch) {
    return absl::FailedPreconditionError(
        absl::StrCat("epoch ", epoch, " of group ", id.number, " is over"));
  }
  Membership next = *now;
  next.confirmed_epoch = epoch;
  std::vector<TargetId> before = std::move(next.basis);
  next.basis.clear();
  next.rebooted.clear();
  for (const GroupMember& m : next.members) {
    if (m.state == wire::MEMBER_IN_SYNC) Insert(next.basis, m.target);
  }
  for (TargetId left : before) {
    if (next.Find(left) == nullptr) Insert(next.former, left);
  }
  return next;
}

absl::StatusOr<Membership> MemberTable::PlanDropped(GroupId id, TargetId target,
                                                    uint32_t epoch) const {
  ASSIGN_OR_RETURN(const Membership* now, Get(id));
  const std::vector<TargetId> may_drop = MayDrop(id);
  if (epoch != now->epoch || !Contains(may_drop, target)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "target ", target.value(), " was not to drop group ", id.number, " in epoch ", epoch));
  }
  Membership next = *now;
  Erase(next.former, target);
  return next;
}

absl::StatusOr<Membership> MemberTable::PlanForget(GroupId id, TargetId target) const {
  ASSIGN_OR_RETURN(const Membership* now, Get(id));
  if (!Contains(now->former, target)) return NoMember(id, target);
  Membership next = *now;
  Erase(next.former, target);
  return next;
}

std::vector<TargetId> MemberTable::MayDrop(GroupId id) const {
  const Membership* m = Find(id);
  if (m == nullptr || m->confirmed_epoch != m->epoch || m->in_sync() != m->members.size())
    return {};
  return m->former;
}

}  // namespace penstock::metaserver
