// MemberTable holds every group's membership and the rules by which it changes (DESIGN.md section
// 6). Pure: no clock, disk or network; not thread-safe. A change is planned (Plan*), made durable
// by the caller, and only then installed.
//
// The rules:
//  - Every change is a new epoch. In-sync members stand first, syncing members last.
//  - A member goes only while another in-sync member is live, and the copies it leaves behind count
//    until one of the remaining in-sync members has taken the new epoch (ConfirmEpoch): the
//    *basis*.
//  - In-sync belongs to one boot of one machine: a rebooted member comes back as syncing. When no
//    in-sync member is left, all of the basis become syncing ("reconciling"): they adopt, per
//    chunk, the highest version that any of them holds, and are in sync again together.
//  - A syncing member becomes in-sync only for the very epoch in which it says that its copies are
//    synced, and only beside an in-sync one.
//  - A member that may still answer reads (its server lives) is demoted first: as a syncing member
//  it
//    has to acknowledge every write, so nothing that it lacks is acknowledged before it has taken
//    the epoch in which it serves no reads. Then it may go.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/cluster_map.h"
#include "common/ids.h"

namespace penstock::metaserver {

inline bool Contains(const std::vector<TargetId>& sorted, TargetId target) {
  return std::binary_search(sorted.begin(), sorted.end(), target);
}

struct Membership {
  GroupId id;
  uint32_t epoch = 0;
  std::vector<GroupMember> members;  // head to tail
  std::vector<TargetId> basis;       // hold, together, everything acknowledged; all in-sync ones
                                     // are among them; sorted
  std::vector<TargetId> rebooted;    // of the basis, since the confirmed epoch; sorted
  std::vector<TargetId> former;      // out for good; may drop their chunks; sorted
  uint32_t confirmed_epoch = 0;      // the last one that an in-sync member is known to have taken
  TargetId leaving;                  // a member that goes when the others are enough; may be none

  const GroupMember* Find(TargetId target) const;
  size_t in_sync() const;
  // No member may serve alone: the basis exchanges what it has first.
  bool reconciling() const { return in_sync() == 0; }
  bool has_syncing() const { return in_sync() < members.size(); }
  // No members, but they were and may have its chunks: of the basis first, then former ones.
  std::vector<TargetId> Left() const;
  friend bool operator==(const Membership&, const Membership&) = default;
};

// "" or what is wrong with it, for tests and for records read from disk.
std::string CheckMembership(const Membership& membership);

using LiveTargets = absl::flat_hash_set<TargetId>;

class MemberTable {
 public:
  void Install(Membership membership);
  const Membership* Find(GroupId id) const;
  const absl::btree_map<GroupId, Membership>& groups() const { return groups_; }

  // A new group: all in sync (nothing was written yet), epoch 1, which needs no confirmation.
  static Membership NewGroup(GroupId id, const std::vector<TargetId>& members);

  // The member leaves. FAILED_PRECONDITION when no other in-sync member is live: the group waits.
  absl::StatusOr<Membership> PlanRemove(GroupId id, TargetId target, const LiveTargets& live) const;
  // The member stays, as syncing. FAILED_PRECONDITION as for PlanRemove.
  absl::StatusOr<Membership> PlanDemote(GroupId id, TargetId target, const LiveTargets& live) const;
  // A target joins as syncing, at the end.
  absl::StatusOr<Membership> PlanAdd(GroupId id, TargetId target) const;
  // As PlanAdd, and `from` leaves when the others are enough. Only of a group that is whole.
  absl::StatusOr<Membership> PlanMove(GroupId id, TargetId from, TargetId to) const;
  // Nobody leaves any more. Same epoch.
  absl::StatusOr<Membership> PlanStay(GroupId id) const;
  // All copies of a syncing member are synced, as of `epoch`.
  absl::StatusOr<Membership> PlanSynced(GroupId id, TargetId target, uint32_t epoch) const;
  // The member's machine has another boot id than before.
  absl::StatusOr<Membership> PlanRebooted(GroupId id, TargetId target) const;
  // The reconciling members have exchanged what they have, as of `epoch`.
  absl::StatusOr<Membership> PlanReconciled(GroupId id, uint32_t epoch) const;
  // An in-sync member has taken `epoch`. Same epoch: the map does not change.
  absl::StatusOr<Membership> PlanConfirm(GroupId id, TargetId target, uint32_t epoch) const;

  // The former member has dropped its chunks, as MayDrop allowed in `epoch`. Same epoch.
  absl::StatusOr<Membership> PlanDropped(GroupId id, TargetId target, uint32_t epoch) const;

  // The former member has left the cluster: nobody waits for what it has to drop. Same epoch.
  absl::StatusOr<Membership> PlanForget(GroupId id, TargetId target) const;

  // Targets that may drop this group's chunks now: former members, once every member is in sync and
  // the epoch is confirmed. The order must name that epoch.
  std::vector<TargetId> MayDrop(GroupId id) const;

 private:
  absl::StatusOr<const Membership*> Get(GroupId id) const;

  absl::btree_map<GroupId, Membership> groups_;
};

}  // namespace penstock::metaserver
