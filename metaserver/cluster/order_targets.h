// Which targets an order is for, and what a change of members means for it. Pure.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <vector>

#include "common/ids.h"
#include "metaserver/cluster/member_table.h"
#include "proto/cluster.pb.h"

namespace penstock::metaserver {

uint32_t StorageClassOf(const wire::Order& order);
// Over the groups of every chunk that the order names; sorted.
//  DeleteContent: all that may have chunks to drop: members, copies that still count, former ones.
//  TruncateContent: the heads, who cut down the chain to all members.
//  DropGroup: the one that it names.
// `group_count` of the order's storage class.
std::vector<TargetId> TargetsOf(const wire::Order& order, const MemberTable& members,
                                uint32_t group_count);

struct OrderRevision {
  bool touched = false;           // by the change; else the rest says nothing
  bool withdrawn = false;         // the order is void
  std::vector<TargetId> targets;  // as TargetsOf; sorted
  // Those of them that have to do it now even if they did it before. DeleteContent: who came into a
  // group, and who is no longer in sync: it copies from others, perhaps what they have not dropped
  // yet, and can do it only when it is in sync again; it is then asked at once.
  // TruncateContent: new heads, who left it to another before.
  std::vector<TargetId> again;
};
using MembershipsBefore = absl::flat_hash_map<GroupId, Membership>;
// `before`: of the groups that changed.
OrderRevision ReviseOrder(const wire::Order& order, const MembershipsBefore& before,
                          const MemberTable& members, uint32_t group_count);

}  // namespace penstock::metaserver
