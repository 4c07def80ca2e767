// What operators ask of ClusterState about one target: drain, remove. Each decides purely, on a
// copy where that takes long, makes the wish durable, and leaves the work to the ticks.
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/cluster/drain_plan.h"
#include "metaserver/cluster/move_view.h"
#include "metaserver/cluster/target_removal.h"

namespace penstock::metaserver {
namespace {

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
  record::Target record;
  Snapshot now;
  {
    absl::MutexLock lock(&mu_);
    ASSIGN_OR_RETURN(record, TargetRecord(id));
    now = Copy();
  }
  const TargetFactsMap facts = FactsOf(now);
  RETURN_IF_ERROR(CheckOnto(request, facts));
  ASSIGN_OR_RETURN(const std::vector<PlannedMove> moves,
                   ForecastDrain({id, TargetId(request.onto())}, now.members, now.classes, facts));
  wire::DrainTargetResponse response;
  for (const PlannedMove& move : moves) response.set_bytes(response.bytes() + move.bytes);
  response.set_groups(static_cast<uint32_t>(moves.size()));
  AddShares(moves, *response.mutable_shares());
  const bool news = !record.draining() || record.drain_onto() != request.onto();
  if (!record.draining()) record.set_drain_groups(response.groups());
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

absl::StatusOr<wire::RemoveTargetResponse> ClusterState::RemoveTarget(TargetId target,
                                                                      bool dry_run) {
  ChangeTurn::Hold turn(&turn_);
  wire::RemoveTargetResponse response;
  *response.mutable_target() = InfoOf(target);
  Change change;
  {
    absl::MutexLock lock(&mu_);
    auto known = inventory_.targets.find(target);
    if (known != inventory_.targets.end() && known->second.record.removed()) {
      *response.mutable_target()->mutable_target() = known->second.record.target();
      response.set_removed_before(true);
      return response;
    }
    ASSIGN_OR_RETURN(record::Target record, TargetRecord(target));
    ASSIGN_OR_RETURN(change.groups, PlanRemoval(target, members_, classes_));
    record.set_removed(true);
    record.clear_draining();
    record.clear_drain_onto();
    record.clear_drain_groups();
    record.mutable_target()->set_state(wire::TARGET_ABSENT);
    change.targets.push_back(std::move(record));
    for (const auto& [id, other] : inventory_.targets) {  // it takes nobody's places any more
      if (other.record.drain_onto() != target.value() || id == target) continue;
      change.targets.push_back(other.record);
      change.targets.back().clear_drain_onto();
    }
  }
  if (dry_run) return response;
  RETURN_IF_ERROR(Commit(std::move(change)));
  const wire::TargetInfo& was = response.target();
  SPDLOG_INFO("target removed target={} path={} chunks_left={}", target.value(),
              Quoted(was.target().path()), was.chunks());
  return response;
}

}  // namespace penstock::metaserver
