// Which targets an order is for. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "common/ids.h"
#include "metaserver/cluster/member_table.h"
#include "proto/cluster.pb.h"

namespace penstock::metaserver {

uint32_t StorageClassOf(const wire::Order& order);
// The members of the groups of every chunk that the order names; of a deletion also the former
// ones, which may still have chunks to drop. Sorted. `group_count` of the order's storage class.
std::vector<TargetId> TargetsOf(const wire::Order& order, const MemberTable& members,
                                uint32_t group_count);

}  // namespace penstock::metaserver
