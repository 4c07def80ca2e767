#include "metaserver/cluster/move_view.h"

#include <absl/container/btree_map.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "metaserver/cluster/rebalance_step.h"

namespace penstock::metaserver {
namespace {

constexpr size_t kMostMovesShown = 2000;

uint32_t Permille(double part) { return static_cast<uint32_t>(part * 1000 + 0.5); }

TargetFactsMap FactsOf(const ViewSources& from) {
  return GatherTargetFacts(from.inventory, from.members, from.now, from.options.offline_after);
}

std::vector<PlannedMove> Plan(const ViewSources& from, const TargetFactsMap& facts,
                              double threshold, size_t most) {
  const auto any = [](GroupId) { return true; };
  const RebalanceSources sources{
      facts, from.members, from.classes, threshold, from.options.placement_seed, any};
  return PlanRebalance(sources, {.moves = most});
}

void AddDrain(const ViewSources& from, const TargetEntry& target, wire::TargetInfo& info,
              std::vector<std::string>& problems) {
  if (!target.record.draining()) return;
  info.set_draining(true);
  info.set_drain_onto(target.record.drain_onto());
  info.set_drain_groups(std::max(target.record.drain_groups(), info.groups()));
  const std::string name = Describe(from.inventory, target);
  const uint32_t id = target.id().value();
  if (info.groups() == 0) {
    problems.push_back(absl::StrCat(name, " is drained: `penstock target remove ", id,
                                    "` takes it out of the cluster, `penstock target undrain ", id,
                                    "` puts it back in service"));
    return;
  }
  std::string line = absl::StrCat(name, " is being drained: ", info.groups(), " of ",
                                  info.drain_groups(), " groups are left; ");
  auto stuck = from.moves.stuck.find(target.id());
  if (stuck == from.moves.stuck.end()) {
    problems.push_back(line + "it ends by itself");
    return;
  }
  info.set_drain_stuck(stuck->second);
  problems.push_back(absl::StrCat(
      line, "no other target can take ", stuck->second,
      " of them: start a chunkserver on another machine, free space, or `penstock target undrain ",
      id, "`"));
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
  for (const PlannedMove& move :
       Plan(from, facts, info.threshold_permille() / 1000.0, kMostMovesShown)) {
    info.set_groups_left(info.groups_left() + 1);
    info.set_bytes_left(info.bytes_left() + move.bytes);
  }
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
  info.set_unbalanced(!Plan(from, facts, kUsualThreshold, 1).empty());
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

std::vector<PlannedMove> PlanWholeRebalance(const ViewSources& sources, double threshold) {
  return Plan(sources, FactsOf(sources), threshold, kMostMovesShown);
}

void AddMoves(const ViewSources& sources, ClusterView& view) {
  for (wire::TargetInfo& info : view.targets) {
    const TargetId id(info.target().target_id());
    AddDrain(sources, sources.inventory.targets.at(id), info, view.problems);
  }
  const TargetFactsMap facts = FactsOf(sources);
  AddRebalance(sources, facts, view);
  SayRebalance(sources, facts, view);
}

}  // namespace penstock::metaserver
