// How ClusterState rebalances: what operators ask for, what each tick did of it, and what is still
// to be done. The plans may take long on a large cluster: they are made on copies, without mu_,
// which heartbeats need.
#include <spdlog/spdlog.h>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/cluster/move_view.h"

namespace penstock::metaserver {
namespace {

constexpr uint32_t kMostPermille = 1000;
constexpr size_t kMostMovesShown = 2000;
constexpr absl::Duration kLookAheadEvery = absl::Seconds(5);
constexpr absl::Duration kLookAheadSoon = absl::Seconds(1);  // when the cluster has changed

uint32_t UsualPermille() { return static_cast<uint32_t>(kUsualThreshold * kMostPermille); }

void End(record::Rebalance& wish, wire::RebalanceOutcome outcome, const char* why, absl::Time now) {
  wish.set_running(false);
  wish.set_ended_s(absl::ToUnixSeconds(now));
  wish.set_outcome(outcome);
  wish.set_ended(why);
}

}  // namespace

ClusterState::Snapshot ClusterState::Copy() const {
  return {inventory_, members_, classes_, notes_, WishNow()};
}

TargetFactsMap ClusterState::FactsOf(const Snapshot& now) const {
  return GatherTargetFacts(now.inventory, now.members, sources_.clock->SinceBoot(),
                           settings_->Current().offline_after);
}

RebalanceWish ClusterState::WishNow() const {
  const record::Rebalance& wish = cluster_.rebalance();
  return {.running = wish.running(),
          .threshold = wish.threshold_permille() / double{kMostPermille},
          .max_bytes_per_second = wish.max_bytes_per_second(),
          .next_move = moves_.next_rebalance};
}

std::vector<PlannedMove> ClusterState::PlanMoves(const Snapshot& now, const TargetFactsMap& facts,
                                                 double threshold, size_t most) const {
  const auto any = [](GroupId) { return true; };
  const RebalanceSources sources{
      facts, now.members, now.classes, threshold, options_.placement_seed, any};
  return PlanRebalance(sources, {.moves = most});
}

absl::StatusOr<wire::StartRebalanceResponse> ClusterState::StartRebalance(
    const wire::StartRebalanceRequest& request) {
  ChangeTurn::Hold turn(&turn_);
  if (request.threshold_permille() > kMostPermille) {
    return absl::InvalidArgumentError("the threshold is a percentage, at most 100");
  }
  record::Rebalance wish;
  wish.set_threshold_permille(UsualPermille());
  wish.set_started_s(absl::ToUnixSeconds(sources_.clock->Now()));
  Snapshot now;
  {
    absl::MutexLock lock(&mu_);
    if (cluster_.rebalance().running()) wish = cluster_.rebalance();  // goes on, maybe otherwise
    now = Copy();
  }
  wish.set_running(true);
  if (request.threshold_permille() != 0) wish.set_threshold_permille(request.threshold_permille());
  if (request.max_bytes_per_second() != 0) {
    wish.set_max_bytes_per_second(request.max_bytes_per_second());
  }
  const double threshold = wish.threshold_permille() / double{kMostPermille};
  wire::StartRebalanceResponse response;
  AddShares(PlanMoves(now, FactsOf(now), threshold, kMostMovesShown), *response.mutable_moves());
  if (!request.dry_run()) {
    SPDLOG_INFO("rebalance started threshold_permille={} max_bytes_per_second={}",
                wish.threshold_permille(), wish.max_bytes_per_second());
    if (!now.wish.running) {
      absl::MutexLock lock(&mu_);
      moves_.next_rebalance = sources_.clock->SinceBoot();
    }
    Change change;
    change.rebalance = std::move(wish);
    RETURN_IF_ERROR(Commit(std::move(change)));
    LookAhead(absl::ZeroDuration());
  }
  *response.mutable_rebalance() = View().rebalance;
  return response;
}

absl::StatusOr<wire::RebalanceInfo> ClusterState::StopRebalance() {
  ChangeTurn::Hold turn(&turn_);
  Change change;
  {
    absl::MutexLock lock(&mu_);
    if (cluster_.rebalance().running()) {
      change.rebalance = cluster_.rebalance();
      End(*change.rebalance, wire::REBALANCE_STOPPED, "stopped by an operator",
          sources_.clock->Now());
    }
  }
  if (change.rebalance) SPDLOG_INFO("rebalance stopped");
  RETURN_IF_ERROR(Commit(std::move(change)));
  LookAhead(absl::ZeroDuration());
  return View().rebalance;
}

void ClusterState::NoteRebalance(const RepairPlan& plan, Change& change) {
  absl::MutexLock lock(&mu_);
  moves_.stuck = plan.stuck;
  moves_.rebalance_waits_for = plan.rebalance.waits_for;
  moves_.next_rebalance = plan.rebalance.next_move;
  if (plan.rebalance.moved == 0 && !plan.rebalance.done) return;
  record::Rebalance wish = cluster_.rebalance();
  wish.set_moved_groups(wish.moved_groups() + plan.rebalance.moved);
  wish.set_moved_bytes(wish.moved_bytes() + plan.rebalance.moved_bytes);
  // Measures may lag behind the moves; it must not go round for ever.
  const uint64_t most = kRebalanceRounds * members_.groups().size() * options_.replication;
  const bool too_long = wish.moved_groups() > most;
  if (plan.rebalance.done || too_long) {
    End(wish, too_long ? wire::REBALANCE_GAVE_UP : wire::REBALANCE_DONE,
        too_long ? "every group was moved several times and targets still differ"
                 : "nothing is left to move",
        sources_.clock->Now());
    SPDLOG_INFO("rebalance ended moved_groups={} moved_bytes={} because={}", wish.moved_groups(),
                wish.moved_bytes(), Quoted(wish.ended()));
  }
  change.rebalance = std::move(wish);
}

void ClusterState::LookAhead() {
  absl::Duration last;
  {
    absl::MutexLock lock(&mu_);
    last = moves_.changed ? kLookAheadSoon : kLookAheadEvery;
  }
  LookAhead(last);
}

void ClusterState::LookAhead(absl::Duration unless_within) {
  const absl::Duration time = sources_.clock->SinceBoot();
  Snapshot now;
  {
    absl::MutexLock lock(&mu_);
    if (members_.groups().empty() || time - moves_.looked_ahead < unless_within) return;
    moves_.looked_ahead = time;
    moves_.changed = false;
    now = Copy();
  }
  const TargetFactsMap facts = FactsOf(now);
  uint32_t groups = 0;
  uint64_t bytes = 0;
  bool unbalanced = false;
  if (now.wish.running) {
    for (const PlannedMove& move : PlanMoves(now, facts, now.wish.threshold, kMostMovesShown)) {
      ++groups;
      bytes += move.bytes;
    }
  } else if (RebalanceWaitsFor(now.members, now.classes, facts).empty()) {
    unbalanced = !PlanMoves(now, facts, kUsualThreshold, 1).empty();
  }
  absl::MutexLock lock(&mu_);
  moves_.groups_left = groups;
  moves_.bytes_left = bytes;
  moves_.unbalanced = unbalanced;
}

}  // namespace penstock::metaserver
