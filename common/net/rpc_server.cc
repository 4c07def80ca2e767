#include "common/net/rpc_server.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/clock.h"
#include "common/net/rpc_server_acceptor.h"
#include "common/net/rpc_server_state.h"
#include "common/net/transport.h"
#include "common/status.h"

namespace penstock::net {
namespace {

absl::Duration TickOf(const RpcServerOptions& options) {
  const absl::Duration shortest = std::min(options.handshake_timeout, options.idle_timeout) / 2;
  return std::clamp(shortest, absl::Milliseconds(10), absl::Seconds(1));
}

absl::Status CheckOptions(const RpcServerOptions& o) {
  if (o.reactor_threads < 1 || o.max_in_flight_per_connection < 1 || o.max_connections < 1) {
    return absl::InvalidArgumentError("reactor threads, connections and calls must be at least 1");
  }
  if (o.payload_memory_bytes < o.max_payload_bytes) {
    return absl::InvalidArgumentError("payload memory is smaller than one payload may be");
  }
  return absl::OkStatus();
}

}  // namespace

struct RpcServer::Core {
  Transport* transport;  // not owned
  std::shared_ptr<ServerState> state;
  std::vector<std::shared_ptr<Reactor>> reactors;
  uint16_t port = 0;
  uint16_t rdma_port = 0;
  bool started = false;
  bool stopped = false;
};

RpcServer::RpcServer(Transport* transport, RpcServerOptions options)
    : core_(std::make_unique<Core>()) {
  core_->transport = transport;
  core_->state = std::make_shared<ServerState>(std::move(options));
}

RpcServer::~RpcServer() { Stop(); }

void RpcServer::HandleRaw(wire::Method method, RawHandler handler) {
  INVARIANT(!core_->started && method > 0);
  auto& handlers = core_->state->handlers;
  const auto at = static_cast<size_t>(method);
  if (handlers.size() <= at) handlers.resize(at + 1);
  INVARIANT(handlers[at] == nullptr);
  handlers[at] = std::move(handler);
}

absl::Status RpcServer::Start() {
  INVARIANT(!core_->started);
  const RpcServerOptions& options = core_->state->options;
  RETURN_IF_ERROR(CheckOptions(options));
  ASSIGN_OR_RETURN(auto listener, core_->transport->Listen(options.listen_host, options.port));
  core_->port = listener->port();
  ASSIGN_OR_RETURN(auto beside, core_->transport->ListenBeside(options.listen_host, core_->port));
  core_->started = true;
  for (int i = 0; i < options.reactor_threads; ++i) {
    auto reactor = std::make_shared<Reactor>(absl::StrCat("rpc-", i), TickOf(options));
    core_->reactors.push_back(reactor);
    RETURN_IF_ERROR(reactor->Start());
  }
  auto acceptor = std::make_shared<Acceptor>(core_->state, std::move(listener), core_->reactors);
  core_->reactors[0]->Post([acceptor] { acceptor->Open(); });
  if (beside != nullptr) {
    core_->rdma_port = beside->port();
    acceptor = std::make_shared<Acceptor>(core_->state, std::move(beside), core_->reactors);
    core_->reactors[0]->Post([acceptor] { acceptor->Open(); });
  }
  return absl::OkStatus();
}

void RpcServer::Stop(absl::Duration grace) {
  if (!core_->started || core_->stopped) return;
  core_->stopped = true;
  const absl::Duration deadline = SystemClock()->SinceBoot() + grace;
  for (const auto& reactor : core_->reactors) reactor->BeginStop(deadline);
  for (const auto& reactor : core_->reactors) reactor->Join();
}

uint16_t RpcServer::port() const { return core_->port; }
uint16_t RpcServer::rdma_port() const { return core_->rdma_port; }
int RpcServer::connections() const { return core_->state->connections.load(); }
int RpcServer::rdma_connections() const { return core_->state->rdma_connections.load(); }
const RpcServerCounters& RpcServer::counters() const { return core_->state->counters; }
const LatencyHistogram& RpcServer::times(wire::Method method) const {
  return core_->state->times[static_cast<size_t>(method)];
}
bool RpcServer::Handles(wire::Method method) const {
  return core_->state->HandlerOf(static_cast<uint16_t>(method)) != nullptr;
}
uint64_t RpcServer::payload_memory_bytes() const {
  return core_->state->options.payload_memory_bytes - core_->state->budget.free_bytes();
}

}  // namespace penstock::net
