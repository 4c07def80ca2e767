// What ClusterState does after a restore: has the chunkservers say what they hold, and forms the
// groups from that when an administrator says so.
#include <spdlog/spdlog.h>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/cluster/restored_groups.h"

namespace penstock::metaserver {

// In the restored state, before which nothing is formed.
uint32_t ClusterState::RestoredGroupCount() const {
  if (cluster_.restored_epoch() == 0) return 0;
  return cluster_.restored_group_count() != 0 ? cluster_.restored_group_count()
                                              : options_.group_count;
}

void ClusterState::NoteHeld(ServerId server, const wire::HeartbeatRequest& request) {
  for (const wire::HeldGroups& held : request.held()) {
    auto target = inventory_.targets.find(TargetId(held.target_id()));
    if (target == inventory_.targets.end() || target->second.server() != server) continue;
    if (target->second.record.removed()) continue;
    target->second.held = held;
  }
}

absl::StatusOr<wire::FinishRestoreResponse> ClusterState::FinishRestore(
    const wire::FinishRestoreRequest& request) {
  ChangeTurn::Hold turn(&turn_);
  wire::FinishRestoreResponse response;
  RestoredGroups plan;
  Change change;
  {
    absl::MutexLock lock(&mu_);
    const uint32_t group_count = RestoredGroupCount();
    if (group_count == 0) return response;
    response.set_restored(true);
    record::StorageClass storage_class = classes_.at(kDefaultStorageClass);
    const RestoredGroupsRequest from{inventory_,
                                     storage_class,
                                     group_count,
                                     cluster_.restored_epoch(),
                                     sources_.clock->SinceBoot(),
                                     settings_->Current().offline_after};
    for (const std::string& missing : NotReported(from)) response.add_missing(missing);
    for (const auto& [id, server] : inventory_.servers) {
      response.set_servers(response.servers() + server.live(from.now, from.offline_after));
    }
    if (response.missing_size() > 0 && !request.without_missing()) {
      response.set_groups(group_count);
      return response;
    }
    ASSIGN_OR_RETURN(plan, PlanRestoredGroups(from));
    storage_class.mutable_storage_class()->set_group_count(group_count);
    change.classes.push_back(std::move(storage_class));
    change.groups = plan.groups;
    change.restore_finished = true;
  }
  response.set_groups(static_cast<uint32_t>(plan.groups.size()));
  response.set_groups_with_chunks(plan.with_chunks);
  response.set_targets(plan.targets);
  if (request.dry_run()) return response;
  RETURN_IF_ERROR(Annotate(Commit(std::move(change)), "form the groups after a restore"));
  SPDLOG_INFO("groups formed after a restore groups={} with_chunks={} targets={} missing={}",
              plan.groups.size(), plan.with_chunks, plan.targets, response.missing_size());
  {
    absl::MutexLock lock(&mu_);
    formation_problem_.clear();
    for (auto& [id, target] : inventory_.targets) target.held.Clear();
  }
  response.set_formed(true);
  return response;
}

}  // namespace penstock::metaserver
