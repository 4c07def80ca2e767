#include "metaserver/cluster/rebalance_step.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "metaserver/cluster/surplus.h"

namespace penstock::metaserver {

RebalanceStep StepRebalance(const RebalanceWish& wish, absl::Duration now,
                            const ClusterOptions& options, const MemberTable& members,
                            const StorageClasses& classes, GroupJoins& joins) {
  RebalanceStep step{.next_move = wish.next_move};
  if (!wish.running) return step;
  step.waits_for = RebalanceWaitsFor(members, classes, joins.all_facts());
  if (!step.waits_for.empty()) return step;
  const auto may_move = [&](GroupId id) { return joins.draft().IsAsBefore(id); };
  const RebalanceSources sources{joins.all_facts(),      members, classes, wish.threshold,
                                 options.placement_seed, may_move};
  const std::vector<PlannedMove> moves = PlanRebalance(
      sources, {.per_target = options.moves_per_target, .moves = kMaxRebalancesPerTick});
  for (const PlannedMove& move : moves) {
    if (step.next_move > now) break;
    if (!joins.Move(move.group, move.from, move.to)) continue;
    ++step.moved;
    step.moved_bytes += move.bytes;
    if (wish.max_bytes_per_second == 0) continue;
    // A tick may make up for what the last ones left, up to a second.
    step.next_move = std::max(step.next_move, now - absl::Seconds(1)) +
                     absl::Seconds(static_cast<double>(move.bytes) /
                                   static_cast<double>(wish.max_bytes_per_second));
  }
  // While every group is at rest no limit was in the way either.
  step.done = moves.empty() &&
              std::all_of(members.groups().begin(), members.groups().end(), [&](const auto& entry) {
                return may_move(entry.first) &&
                       IsWhole(entry.second, GoalOf(classes, entry.first), joins.all_facts());
              });
  return step;
}

std::string RebalanceWaitsFor(const MemberTable& members, const StorageClasses& classes,
                              const TargetFactsMap& facts) {
  size_t below = 0;
  for (const auto& [id, group] : members.groups()) below += group.in_sync() < GoalOf(classes, id);
  if (below > 0) return absl::StrCat(below, " groups lack copies, which are made first");
  TargetId draining;
  for (const auto& [id, known] : facts) {
    if (known.groups == 0) continue;
    if (!known.serving()) return absl::StrCat("target ", id.value(), " is away");
    if (known.draining) draining = id;
  }
  if (!draining.valid()) return "";
  return absl::StrCat("target ", draining.value(), " is being drained, which goes first");
}

UsedParts MeasureUsed(const TargetFactsMap& facts) {
  UsedParts parts;
  bool any = false;
  for (const auto& [id, known] : facts) {
    if (!Rebalances(known)) continue;
    const double used = static_cast<double>(known.stored_bytes) / known.usable;
    parts.most = any ? std::max(parts.most, used) : used;
    parts.least = any ? std::min(parts.least, used) : used;
    any = true;
  }
  return parts;
}

}  // namespace penstock::metaserver
