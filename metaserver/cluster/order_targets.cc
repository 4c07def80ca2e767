#include "metaserver/cluster/order_targets.h"

#include <absl/container/btree_set.h>

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

}  // namespace

uint32_t StorageClassOf(const wire::Order& order) { return LayoutOf(order).storage_class(); }

std::vector<TargetId> TargetsOf(const wire::Order& order, const MemberTable& members,
                                uint32_t group_count) {
  if (group_count == 0) return {};
  const wire::Layout& layout = LayoutOf(order);
  ChunkRange chunks = ChunksOf(order);
  // Further chunks lie in the groups of the first.
  if (chunks.end > chunks.first) {
    chunks.end = chunks.first + std::min<uint64_t>(chunks.end - chunks.first, group_count);
  }
  absl::btree_set<TargetId> targets;
  for (uint64_t index = chunks.first; index < chunks.end; ++index) {
    const uint32_t position = ChunkPosition(layout.seed(), static_cast<uint32_t>(index));
    const Membership* group =
        members.Find({layout.storage_class(), GroupOfPosition(position, group_count)});
    if (group == nullptr) continue;
    for (const GroupMember& member : group->members) targets.insert(member.target);
    if (order.has_delete_content()) targets.insert(group->former.begin(), group->former.end());
  }
  return {targets.begin(), targets.end()};
}

}  // namespace penstock::metaserver
