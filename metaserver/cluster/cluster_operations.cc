// What operators ask of ClusterState: drain, remove, rebalance. Each decides purely, makes the
// wish durable, and leaves the work to the ticks.
#include <absl/container/btree_map.h>
#include <absl/strings/str_cat.h>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/cluster/drain_plan.h"
#include "metaserver/cluster/move_view.h"
#include "metaserver/cluster/target_removal.h"

namespace penstock::metaserver {
namespace {

constexpr uint32_t kMostPermille = 1000;

absl::Status CheckOnto(const wire::DrainTargetRequest& request, const TargetFactsMap& facts) {
  if (request.onto() == 0) return absl::OkStatus();
  const std::string name = absl::StrCat("target ", request.onto());
  if (request.onto() == request.target_id()) {
    return absl::InvalidArgumentError(absl::StrCat(name, " cannot take its own place"));
  }
  auto onto = facts.find(TargetId(request.onto()));
  if (onto == facts.end()) {
    return absl::NotFoundError(
        absl::StrCat("there is no ", name, "; `penstock target ls` lists them"));
  }
  if (onto->second.draining) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " is being drained itself: `penstock target undrain ", request.onto(), "` first"));
  }
  if (onto->second.serving()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(name, " is not online: start its server first"));
}

}  // namespace

absl::StatusOr<record::Target> ClusterState::TargetRecord(TargetId target) const {
  auto known = inventory_.targets.find(target);
  if (known != inventory_.targets.end() && !known->second.record.removed()) {
    return known->second.record;
  }
  return absl::NotFoundError(
      absl::StrCat("there is no target ", target.value(),
                   known == inventory_.targets.end() ? "" : " any more, it was removed",
                   "; `penstock target ls` lists them"));
}

absl::Status ClusterState::CommitTarget(const record::Target& target) {
  Change change;
  change.targets.push_back(target);
  return Commit(std::move(change));
}

TargetFactsMap ClusterState::Facts() const {
  return GatherTargetFacts(inventory_, members_, sources_.clock->SinceBoot(),
                           settings_->Current().offline_after);
}

wire::TargetInfo ClusterState::InfoOf(TargetId target) const {
  for (wire::TargetInfo& info : View().targets) {
    if (info.target().target_id() == target.value()) return std::move(info);
  }
  return {};
}

absl::StatusOr<wire::DrainTargetResponse> ClusterState::DrainTarget(
    const wire::DrainTargetRequest& request) {
  ChangeTurn::Hold turn(&turn_);
  const TargetId id(request.target_id());
  wire::DrainTargetResponse response;
  record::Target record;
  bool news = false;
  {
    absl::MutexLock lock(&mu_);
    ASSIGN_OR_RETURN(record, TargetRecord(id));
    const TargetFactsMap facts = Facts();
    RETURN_IF_ERROR(CheckOnto(request, facts));
    ASSIGN_OR_RETURN(const std::vector<PlannedMove> moves,
                     ForecastDrain({id, TargetId(request.onto())}, members_, classes_, facts));
    for (const PlannedMove& move : moves) response.set_bytes(response.bytes() + move.bytes);
    response.set_groups(static_cast<uint32_t>(moves.size()));
    AddShares(moves, *response.mutable_shares());
    news = !record.draining() || record.drain_onto() != request.onto();
    if (!record.draining()) {
      auto known = facts.find(id);
      record.set_drain_groups(known == facts.end() ? 0 : known->second.groups);
    }
  }
  record.set_draining(true);
  record.set_drain_onto(request.onto());
  if (news && !request.dry_run()) {
    RETURN_IF_ERROR(CommitTarget(record));
    SPDLOG_INFO("target draining target={} path={} onto={} groups={} bytes={}", id.value(),
                Quoted(record.target().path()), request.onto(), response.groups(),
                response.bytes());
  }
  *response.mutable_target() = InfoOf(id);
  return response;
}

absl::StatusOr<wire::TargetInfo> ClusterState::UndrainTarget(TargetId target) {
  ChangeTurn::Hold turn(&turn_);
  record::Target record;
  {
    absl::MutexLock lock(&mu_);
    ASSIGN_OR_RETURN(record, TargetRecord(target));
  }
  if (record.draining()) {
    record.clear_draining();
    record.clear_drain_onto();
    record.clear_drain_groups();
    RETURN_IF_ERROR(CommitTarget(record));
    SPDLOG_INFO("target back in service target={} path={}", target.value(),
                Quoted(record.target().path()));
  }
  return InfoOf(target);
}

absl::StatusOr<wire::TargetInfo> ClusterState::RemoveTarget(TargetId target, bool dry_run) {
  ChangeTurn::Hold turn(&turn_);
  const wire::TargetInfo as_it_was = InfoOf(target);
  Change change;
  {
    absl::MutexLock lock(&mu_);
    auto known = inventory_.targets.find(target);
    if (known != inventory_.targets.end() && known->second.record.removed()) {
      wire::TargetInfo gone;  // done before
      *gone.mutable_target() = known->second.record.target();
      return gone;
    }
    ASSIGN_OR_RETURN(record::Target record, TargetRecord(target));
    ASSIGN_OR_RETURN(change.groups, PlanRemoval(target, members_, classes_));
    record.set_removed(true);
    record.clear_draining();
    record.clear_drain_onto();
    record.clear_drain_groups();
    record.mutable_target()->set_state(wire::TARGET_ABSENT);
    change.targets.push_back(std::move(record));
  }
  if (dry_run) return as_it_was;
  RETURN_IF_ERROR(Commit(std::move(change)));
  SPDLOG_INFO("target removed target={} path={} chunks_left={}", target.value(),
              Quoted(as_it_was.target().path()), as_it_was.chunks());
  return as_it_was;
}

absl::StatusOr<wire::StartRebalanceResponse> ClusterState::StartRebalance(
    const wire::StartRebalanceRequest& request) {
  ChangeTurn::Hold turn(&turn_);
  if (request.threshold_permille() > kMostPermille) {
    return absl::InvalidArgumentError("the threshold is a percentage, at most 100");
  }
  wire::StartRebalanceResponse response;
  const ClusterOptions options = OptionsNow();
  Change change;
  {
    absl::MutexLock lock(&mu_);
    record::Rebalance wish;
    if (cluster_.rebalance().running()) wish = cluster_.rebalance();  // goes on with other terms
    wish.set_running(true);
    wish.set_threshold_permille(request.threshold_permille() != 0
                                    ? request.threshold_permille()
                                    : static_cast<uint32_t>(kUsualThreshold * 1000));
    wish.set_max_bytes_per_second(request.max_bytes_per_second());
    if (wish.started_s() == 0) wish.set_started_s(absl::ToUnixSeconds(sources_.clock->Now()));
    ViewSources sight = Sight(options);
    AddShares(PlanWholeRebalance(sight, wish.threshold_permille() / 1000.0),
              *response.mutable_moves());
    moves_.next_rebalance = sources_.clock->SinceBoot();
    change.rebalance = std::move(wish);
  }
  if (!request.dry_run()) {
    SPDLOG_INFO("rebalance started threshold_permille={} max_bytes_per_second={}",
                change.rebalance->threshold_permille(), change.rebalance->max_bytes_per_second());
    RETURN_IF_ERROR(Commit(std::move(change)));
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
      change.rebalance->set_running(false);
      change.rebalance->set_ended_s(absl::ToUnixSeconds(sources_.clock->Now()));
      change.rebalance->set_ended("stopped by an operator");
    }
  }
  if (change.rebalance) SPDLOG_INFO("rebalance stopped");
  RETURN_IF_ERROR(Commit(std::move(change)));
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
    wish.set_running(false);
    wish.set_ended_s(absl::ToUnixSeconds(sources_.clock->Now()));
    wish.set_ended(too_long ? "every group was moved several times and targets still differ"
                            : "nothing is left to move");
    SPDLOG_INFO("rebalance ended moved_groups={} moved_bytes={} because={}", wish.moved_groups(),
                wish.moved_bytes(), Quoted(wish.ended()));
  }
  change.rebalance = std::move(wish);
}

}  // namespace penstock::metaserver
