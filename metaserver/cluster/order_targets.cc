#include "metaserver/cluster/order_targets.h"

#include <absl/container/btree_set.h>
#include <absl/functional/function_ref.h>

#include <algorithm>

#include "common/placement.h"

namespace penstock::metaserver {
namespace {

const wire::Layout& LayoutOf(const wire::Order& order) {
  return order.has_delete_content() ? order.delete_content().layout()
                                    : order.truncate_content().layout();
}

struct ChunkRange {
  uint64_t first = 0;
  uint64_t end = 0;  // the first chunk beyond
};
ChunkRange ChunksOf(const wire::Order& order) {
  if (order.has_delete_content()) return {0, order.delete_content().chunk_count()};
  const wire::TruncateContent& cut = order.truncate_content();
  const uint32_t log2 = std::min(cut.layout().chunk_size_log2(), 63u);
  const uint64_t last = cut.old_size() >> log2;
  const bool part = cut.old_size() != last << log2;
  return {cut.new_size() >> log2, last + (part ? 1 : 0)};
}

// Calls `visit` with each group where the order has chunks, some of them more than once.
void VisitGroups(const wire::Order& order, uint32_t group_count,
                 absl::FunctionRef<void(GroupId)> visit) {
  if (group_count == 0) return;
  const wire::Layout& layout = LayoutOf(order);
  ChunkRange chunks = ChunksOf(order);
  // Further chunks lie in the groups of the first.
  if (chunks.end > chunks.first) {
    chunks.end = chunks.first + std::min<uint64_t>(chunks.end - chunks.first, group_count);
  }
  for (uint64_t index = chunks.first; index < chunks.end; ++index) {
    const uint32_t position = ChunkPosition(layout.seed(), static_cast<uint32_t>(index));
    visit({layout.storage_class(), GroupOfPosition(position, group_count)});
  }
}

void AddThoseAgain(const wire::Order& order, const Membership& before, const Membership& now,
                   absl::btree_set<TargetId>& again) {
  if (order.has_truncate_content()) {
    const TargetId head = now.members.front().target;
    if (head != before.members.front().target) again.insert(head);
    return;
  }
  for (const GroupMember& member : now.members) {
    const GroupMember* was = before.Find(member.target);
    if (was == nullptr || was->state != member.state) again.insert(member.target);
  }
}

}  // namespace

uint32_t StorageClassOf(const wire::Order& order) {
  return order.has_drop_group() ? order.drop_group().storage_class()
                                : LayoutOf(order).storage_class();
}

std::vector<TargetId> TargetsOf(const wire::Order& order, const MemberTable& members,
                                uint32_t group_count) {
  if (order.has_drop_group()) return {TargetId(order.drop_group().target_id())};
  absl::btree_set<TargetId> targets;
  VisitGroups(order, group_count, [&](GroupId id) {
    const Membership* group = members.Find(id);
    if (group == nullptr) return;
    if (order.has_truncate_content()) {
      targets.insert(group->members.front().target);
      return;
    }
    for (const GroupMember& member : group->members) targets.insert(member.target);
    targets.insert(group->basis.begin(), group->basis.end());
    targets.insert(group->former.begin(), group->former.end());
  });
  return {targets.begin(), targets.end()};
}

OrderRevision ReviseOrder(const wire::Order& order, const MembershipsBefore& before,
                          const MemberTable& members, uint32_t group_count) {
  OrderRevision revision;
  if (order.has_drop_group()) {
    const wire::DropGroup& drop = order.drop_group();
    auto changed = before.find({drop.storage_class(), drop.group()});
    if (changed == before.end()) return revision;
    const Membership& now = *members.Find(changed->first);
    const auto waits = [&](const Membership& group) {
      return std::binary_search(group.former.begin(), group.former.end(),
                                TargetId(drop.target_id()));
    };
    // It names an epoch that is over, or a target that is done or has left the cluster.
    revision.touched =
        now.epoch != changed->second.epoch || (waits(changed->second) && !waits(now));
    revision.withdrawn = revision.touched;
    return revision;
  }
  absl::btree_set<TargetId> again;
  VisitGroups(order, group_count, [&](GroupId id) {
    auto changed = before.find(id);
    if (changed == before.end()) return;
    revision.touched = true;
    AddThoseAgain(order, changed->second, *members.Find(id), again);
  });
  if (!revision.touched) return revision;
  revision.targets = TargetsOf(order, members, group_count);
  revision.again.assign(again.begin(), again.end());
  return revision;
}

}  // namespace penstock::metaserver
