// What the parts of one RpcServer share. Calls under way hold it too, so that it may outlive the
// server. Constant after Start() but for the counters and the budget.
#pragma once

#include <array>
#include <atomic>
#include <vector>

#include "common/latency_histogram.h"
#include "common/net/payload_budget.h"
#include "common/net/rpc_server.h"

namespace penstock::net {

struct ServerState {
  explicit ServerState(RpcServerOptions o)
      : options(std::move(o)), budget(options.payload_memory_bytes) {}

  const RpcServer::RawHandler* HandlerOf(uint16_t method) const {
    if (method >= handlers.size() || handlers[method] == nullptr) return nullptr;
    return &handlers[method];
  }

  const RpcServerOptions options;
  std::vector<RpcServer::RawHandler> handlers;  // by method number
  PayloadBudget budget;
  std::atomic<int> connections{0};
  std::atomic<int> rdma_connections{0};         // of them
  std::atomic<int64_t> last_refusal_log_s{-1};  // at most one line a second
  RpcServerCounters counters;
  mutable std::array<LatencyHistogram, wire::Method_ARRAYSIZE> times;  // by method; of known ones
};

}  // namespace penstock::net
