// penstock-bench-transport: measures one transport with a server in a process of its own, and
// prints a line of JSON for each case. bench/transport/run makes the table of several.
#include <absl/strings/numbers.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <vector>

#include "bench/transport/load.h"
#include "common/status.h"

namespace penstock::bench {
namespace {

struct Options {
  std::string over = "tcp";
  ExchangeOptions exchange;
  std::vector<uint32_t> sizes = {64 << 10, 1 << 20};
  std::vector<int> in_flight = {1, 4, 16, 64};
  double seconds = 2;
};

void Print(const std::string& what, uint32_t bytes, const LoadCase& load, const LoadResult& r) {
  absl::PrintF(
      "{\"case\": \"%s\", \"bytes\": %d, \"in_flight\": %d, \"calls\": %d, \"seconds\": %.6f, "
      "\"median_us\": %.2f, \"p99_us\": %.2f, \"client_cpu_s\": %.6f, \"server_cpu_s\": %.6f}\n",
      what, bytes, load.in_flight, r.calls, absl::ToDoubleSeconds(r.took),
      absl::ToDoubleMicroseconds(r.median), absl::ToDoubleMicroseconds(r.p99),
      absl::ToDoubleSeconds(r.client_processor), absl::ToDoubleSeconds(r.server_processor));
  std::fflush(stdout);
}

absl::Status Measure(const Options& options, ExchangeClient& client, const ServerProcess& server) {
  LoadCase load;
  load.duration = absl::Seconds(options.seconds);
  load.warm_up = std::min(load.warm_up, load.duration);
  for (int in_flight : options.in_flight) {
    load.in_flight = in_flight;
    load.size = {};
    ASSIGN_OR_RETURN(LoadResult result, RunLoad(client, server, load));
    Print("message", 0, load, result);
    for (uint32_t bytes : options.sizes) {
      load.size = {.send_bytes = 0, .receive_bytes = bytes};
      ASSIGN_OR_RETURN(result, RunLoad(client, server, load));
      Print("read", bytes, load, result);
      load.size = {.send_bytes = bytes, .receive_bytes = 0};
      ASSIGN_OR_RETURN(result, RunLoad(client, server, load));
      Print("write", bytes, load, result);
    }
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("measures a transport of Penstock, or plain sockets");
  app.add_option("--over", options.over, "what to measure")
      ->check(CLI::IsMember({"tcp", "rdma", "plain"}))
      ->capture_default_str();
  app.add_option("--server", options.exchange.server_host, "the server's IPv4 address")
      ->capture_default_str();
  app.add_option("--client", options.exchange.client_host,
                 "RDMA: the IPv4 address to come from; the route's when not given");
  app.add_option("--sizes", options.sizes, "payload bytes of reads and writes")
      ->delimiter(',')
      ->check(CLI::Range(1, 64 << 20));
  app.add_option("--in-flight", options.in_flight, "threads, each with one call at a time")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  app.add_option("--connections", options.exchange.connections,
                 "of the client to the server, at most; plain sockets have one a thread")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "for each case")
      ->check(CLI::Range(0.05, 3600.0))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);

  const ExchangeKind kind = options.over == "plain"  ? PlainSockets(options.exchange)
                            : options.over == "rdma" ? RpcOverRdma(options.exchange)
                                                     : RpcOverTcp(options.exchange);
  absl::StatusOr<std::unique_ptr<ServerProcess>> server = ServerProcess::Start(kind);
  absl::Status status = server.status();
  if (status.ok()) {
    std::unique_ptr<ExchangeClient> client = kind.client((*server)->port());
    status = Measure(options, *client, **server);
  }
  if (!status.ok()) absl::FPrintF(stderr, "%s\n", status.ToString());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace penstock::bench

int main(int argc, char** argv) { return penstock::bench::Main(argc, argv); }
