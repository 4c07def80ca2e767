// What a chunkserver's registration changes, or why it is refused. Pure: ClusterState makes the
// result durable and installs it.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <vector>

#include "metaserver/cluster/inventory.h"

namespace penstock::metaserver {

struct RegistrationRules {
  std::string cluster_id;
  absl::Duration now;            // Clock::SinceBoot()
  absl::Duration offline_after;  // a server silent for longer may be replaced; at least twice
                                 // the time after which it stops serving by itself
  // After a restore: targets that this cluster made since the backup come with the ids that they
  // have.
  bool adopt = false;
};

absl::Duration FenceAfter(const wire::RegisterRequest& request);

struct RegistrationPlan {
  record::Server server;
  std::vector<record::Target> targets;  // in the order of the request; removed ones as they are
  std::vector<record::Target> missing;  // of this server, but not in the request: absent now
  // Targets whose machine started again: the boot id recorded for their server is another one. What
  // was not synced there is gone. None when no boot id was recorded.
  std::vector<TargetId> rebooted;
  uint32_t last_server_id = 0;
  uint32_t last_target_id = 0;
};

// A server and a target are known by their uuids; new ones get ids. Refused:
//  kWrongCluster: the server belongs to another cluster.
//  INVALID_ARGUMENT: the request makes no sense (no uuid, one path or uuid twice).
//  ALREADY_EXISTS: a path of this server holds another target than before.
//  NOT_FOUND: a target names an id that this cluster never gave it.
//  UNAVAILABLE: another live server claims the same uuid or target; right again when that stops.
absl::StatusOr<RegistrationPlan> PlanRegistration(const wire::RegisterRequest& request,
                                                  const Inventory& inventory,
                                                  const RegistrationRules& rules);

}  // namespace penstock::metaserver
