// What a chunkserver counts, as metrics (docs/operate/metrics.md). Looks only; asks no disk, but
// for its free space.
#pragma once

#include <vector>

#include "chunkserver/chain/pending_settler.h"
#include "chunkserver/control/metaserver_link.h"
#include "chunkserver/control/order_worker.h"
#include "chunkserver/control/target_health.h"
#include "chunkserver/service/chunk_service.h"
#include "chunkserver/service/serving_lease.h"
#include "chunkserver/sync/group_sync.h"
#include "chunkserver/targets.h"
#include "common/cluster_map.h"
#include "common/metrics_server.h"
#include "common/net/auto_transport.h"
#include "common/net/rpc_server.h"

namespace penstock::chunkserver {

struct MetricSources {
  const Targets* targets = nullptr;
  const HealthSampler* health = nullptr;
  const GroupSync* sync = nullptr;
  const OrderWorker* orders = nullptr;
  const PendingSettler* settler = nullptr;
  const ChunkService* service = nullptr;
  const ServingLease* lease = nullptr;
  const MetaserverLink* link = nullptr;
  const MapHolder* map = nullptr;
  const net::RpcServer* rpc = nullptr;
  const net::AutoTransport* transport = nullptr;
};

std::vector<Metric> ChunkserverMetrics(const MetricSources& sources);

}  // namespace penstock::chunkserver
