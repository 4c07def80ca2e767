#include "metaserver/cluster/move_view.h"

#include <absl/container/btree_map.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "metaserver/cluster/rebalance_step.h"

namespace penstock::metaserver {
namespace {

uint32_t Permille(double part) { return static_cast<uint32_t>(part * 1000 + 0.5); }

TargetFactsMap FactsOf(const ViewSources& from) {
  return GatherTargetFacts(from.inventory, from.members, from.now, from.options.offline_after);
}

// Groups that lack a copy in sync, by each of their former members.
absl::btree_map<TargetId, uint32_t> AwaitedBy(const ViewSources& from) {
  absl::btree_map<TargetId, uint32_t> awaited;
  for (const auto& [id, group] : from.members.groups()) {
    if (group.in_sync() >= GoalOf(from.classes, id)) continue;
    for (TargetId target : group.Left()) ++awaited[target];
  }
  return awaited;
}

std::string StuckText(const TargetEntry& target, uint32_t stuck) {
  const wire::TargetState state = target.record.target().state();
  if (state != wire::TARGET_ONLINE && state != wire::TARGET_FAILED) {
    return absl::StrCat("it is away with the only copy of ", stuck, " of them: bring it back");
  }
  return absl::StrCat("no other target can take ", stuck,
                      " of them: start a chunkserver on another machine, free space, or `penstock "
                      "target undrain ",
                      target.id().value(), "`");
}

void AddDrain(const ViewSources& from, const TargetEntry& target, wire::TargetInfo& info,
              std::vector<std::string>& problems) {
  if (!target.record.draining()) return;
  const uint32_t left = info.groups() + info.awaited_by();
  info.set_draining(true);
  info.set_drain_onto(target.record.drain_onto());
  info.set_drain_groups(std::max(target.record.drain_groups(), left));
  const std::string name = Describe(from.inventory, target);
  const uint32_t id = target.id().value();
  if (left == 0) {
    problems.push_back(absl::StrCat(name, " is drained: `penstock target remove ", id,
                                    "` takes it out of the cluster, `penstock target undrain ", id,
                                    "` puts it back in service"));
    return;
  }
  auto stuck = from.moves.stuck.find(target.id());
  if (stuck != from.moves.stuck.end()) info.set_drain_stuck(stuck->second);
  problems.push_back(absl::StrCat(
      name, " is being drained: ", left, " of ", info.drain_groups(), " groups are left; ",
      info.drain_stuck() == 0 ? "it ends by itself" : StuckText(target, info.drain_stuck())));
}

void AddRebalance(const ViewSources& from, const TargetFactsMap& facts, ClusterView& view) {
  wire::RebalanceInfo& info = view.rebalance;
  const record::Rebalance& wish = from.rebalance;
  info.set_running(wish.running());
  info.set_threshold_permille(wish.threshold_permille() != 0 ? wish.threshold_permille()
                                                             : Permille(kUsualThreshold));
  info.set_max_bytes_per_second(wish.max_bytes_per_second());
  info.set_started_s(wish.started_s());
  info.set_ended_s(wish.ended_s());
  info.set_ended(wish.ended());
  info.set_outcome(static_cast<wire::RebalanceOutcome>(wish.outcome()));
  info.set_moved_groups(wish.moved_groups());
  info.set_moved_bytes(wish.moved_bytes());
  for (const auto& [id, group] : from.members.groups()) {
    if (group.leaving.valid()) info.set_moving(info.moving() + 1);
  }
  const UsedParts used = MeasureUsed(facts);
  info.set_used_most_permille(Permille(used.most));
  info.set_used_least_permille(Permille(used.least));
  if (!wish.running()) return;
  info.set_waits_for(from.moves.rebalance_waits_for);
  info.set_groups_left(from.moves.groups_left);
  info.set_bytes_left(from.moves.bytes_left);
}

void SayRebalance(const ViewSources& from, const TargetFactsMap& facts, ClusterView& view) {
  wire::RebalanceInfo& info = view.rebalance;
  if (info.running()) {
    const uint32_t left = info.groups_left() + info.moving();
    view.problems.push_back(info.waits_for().empty()
                                ? absl::StrCat("the cluster is being rebalanced: ", left,
                                               " groups are left to move; it ends by itself")
                                : absl::StrCat("rebalancing waits: ", info.waits_for()));
    return;
  }
  // While copies are missing or moving, what it would do is not known.
  if (from.members.groups().empty() ||
      !RebalanceWaitsFor(from.members, from.classes, facts).empty() || info.moving() > 0) {
    return;
  }
  info.set_unbalanced(from.moves.unbalanced);
  if (!info.unbalanced()) return;
  view.problems.push_back(absl::StrFormat(
      "the cluster is unbalanced (its targets are %.0f %% to %.0f %% used, or hold more or fewer "
      "groups than their size): `penstock rebalance start` moves data until they are alike",
      info.used_least_permille() / 10.0, info.used_most_permille() / 10.0));
}

}  // namespace

void AddShares(const std::vector<PlannedMove>& moves,
               google::protobuf::RepeatedPtrField<wire::MoveShare>& shares) {
  absl::btree_map<std::pair<TargetId, TargetId>, wire::MoveShare> sums;
  for (const PlannedMove& move : moves) {
    wire::MoveShare& sum = sums[{move.from, move.to}];
    sum.set_from(move.from.value());
    sum.set_to(move.to.value());
    sum.set_groups(sum.groups() + 1);
    sum.set_bytes(sum.bytes() + move.bytes);
  }
  for (auto& [way, sum] : sums) *shares.Add() = std::move(sum);
}

void AddMoves(const ViewSources& sources, ClusterView& view) {
  const auto awaited_by = AwaitedBy(sources);
  for (wire::TargetInfo& info : view.targets) {
    const TargetId id(info.target().target_id());
    if (auto awaited = awaited_by.find(id); awaited != awaited_by.end()) {
      info.set_awaited_by(awaited->second);
    }
    AddDrain(sources, sources.inventory.targets.at(id), info, view.problems);
  }
  const TargetFactsMap facts = FactsOf(sources);
  AddRebalance(sources, facts, view);
  SayRebalance(sources, facts, view);
}

}  // namespace penstock::metaserver
