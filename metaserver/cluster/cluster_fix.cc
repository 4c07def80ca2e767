// What `penstock fsck` asks of ClusterState.
#include <spdlog/spdlog.h>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/cluster/target_facts.h"

namespace penstock::metaserver {

// It stays a member, as syncing, and compares every chunk with one that is in sync. By the rule of
// members, only while another in-sync one is live.
absl::Status ClusterState::SyncCopy(GroupId id, TargetId target) {
  ChangeTurn::Hold turn(&turn_);
  Change change;
  {
    absl::MutexLock lock(&mu_);
    LiveTargets live;
    for (const auto& [target_id, facts] :
         GatherTargetFacts(inventory_, members_, sources_.clock->SinceBoot(),
                           settings_->Current().offline_after)) {
      if (facts.serving()) live.insert(target_id);
    }
    ASSIGN_OR_RETURN(Membership next, members_.PlanDemote(id, target, live));
    if (next == *members_.Find(id)) return absl::OkStatus();  // it syncs already
    change.groups.push_back(std::move(next));
  }
  RETURN_IF_ERROR(Commit(std::move(change)));
  SPDLOG_WARN("copy to be compared anew group={} target={}", id.number, target.value());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
