#include "common/net/rpc_server_metrics.h"

#include <absl/strings/ascii.h>
#include <absl/strings/strip.h>

namespace penstock::net {
namespace {

std::string NameOf(wire::Method method) {
  absl::string_view name = wire::Method_Name(method);
  absl::ConsumePrefix(&name, "METHOD_");
  return absl::AsciiStrToLower(name);
}

}  // namespace

void AddRpcServerMetrics(const RpcServer& server, std::vector<Metric>* metrics) {
  Metric& times = metrics->emplace_back(
      Metric::Of(Metric::Kind::kHistogram, "penstock_rpc_request_seconds",
                 "From the last byte of a request to its answer, by what it asks; waits for others "
                 "(locks, recalls) are in it."));
  for (int number = wire::Method_MIN; number <= wire::Method_MAX; ++number) {
    if (!wire::Method_IsValid(number)) continue;
    const auto method = static_cast<wire::Method>(number);
    if (server.Handles(method)) times.Add({{"method", NameOf(method)}}, server.times(method));
  }
  Metric& connections = metrics->emplace_back(Metric::Of(
      Metric::Kind::kGauge, "penstock_rpc_connections", "Open connections, by what carries them."));
  connections.Add({{"transport", "tcp"}}, server.connections() - server.rdma_connections());
  if (server.rdma_port() != 0) {
    connections.Add({{"transport", "rdma"}}, server.rdma_connections());
  }
  const RpcServerCounters& counted = server.counters();
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    metrics->push_back(Metric::Counter(name, help, static_cast<double>(value)));
  };
  counter("penstock_rpc_errors_total", "Requests that were answered with an error.",
          counted.errors.load());
  counter("penstock_rpc_turned_away_total", "Connections refused: there were too many.",
          counted.turned_away.load());
  counter("penstock_rpc_refused_handshakes_total",
          "Connections refused: another cluster, a wrong key, another version.",
          counted.refused_handshakes.load());
  counter("penstock_rpc_bad_frames_total", "Connections ended for bytes that are no request.",
          counted.bad_frames.load());
  counter("penstock_rpc_timeouts_total", "Connections closed for silence.",
          counted.timeouts.load());
  counter("penstock_rpc_received_bytes_total", "Payload of requests.",
          counted.payload_bytes_received.load());
  counter("penstock_rpc_sent_bytes_total", "Payload of answers.",
          counted.payload_bytes_sent.load());
  counter("penstock_rpc_memory_waits_total",
          "Requests that waited because the memory for payloads was in use.",
          counted.memory_waits.load());
  metrics->push_back(Metric::Gauge("penstock_rpc_payload_memory_bytes",
                                   "Memory that payloads of requests use now.",
                                   static_cast<double>(server.payload_memory_bytes())));
}

}  // namespace penstock::net
