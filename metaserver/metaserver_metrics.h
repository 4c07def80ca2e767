// What a metaserver counts, as metrics (docs/operate/metrics.md). Looks only.
#pragma once

#include <vector>

#include "common/metrics_server.h"
#include "common/net/rpc_server.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/locks/file_locks.h"
#include "metaserver/namespace.h"
#include "metaserver/reclaim/reclaimer.h"
#include "metaserver/service/admin_service.h"
#include "metaserver/service/meta_service.h"
#include "metaserver/space_guard.h"

namespace penstock::metaserver {

struct MetricSources {
  ClusterState* cluster = nullptr;
  Namespace* names = nullptr;
  const FileLocks* locks = nullptr;
  const Reclaimer* reclaimer = nullptr;
  const MetaService* service = nullptr;
  const net::RpcServer* rpc = nullptr;
  const AdminService* admin = nullptr;
  const SpaceGuard* space = nullptr;
};

std::vector<Metric> MetaserverMetrics(const MetricSources& sources);

}  // namespace penstock::metaserver
