// What an RpcServer counts, as metrics (docs/operate/metrics.md).
#pragma once

#include <vector>

#include "common/metrics_server.h"
#include "common/net/rpc_server.h"

namespace penstock::net {

void AddRpcServerMetrics(const RpcServer& server, std::vector<Metric>* metrics);

}  // namespace penstock::net
