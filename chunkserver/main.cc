// penstock-chunkserver: serves the chunks on this machine's disks.
#include <spdlog/spdlog.h>

#include <iostream>

#include "chunkserver/chunk_server.h"
#include "chunkserver/chunkserver_options.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/logging.h"
#include "common/net/transport_flags.h"
#include "common/program.h"
#include "common/text.h"

namespace {

using penstock::chunkserver::ChunkServer;
using penstock::chunkserver::ChunkserverOptions;

void AddOptions(CLI::App& app, ChunkserverOptions& options) {
  app.add_option("--dir", options.dir, "directory of this server's own files (server.json)")
      ->required();
  app.add_option("--cluster-id", options.cluster_id,
                 "cluster to belong to; needed the first time, then kept in server.json");
  app.add_option("--target", options.targets,
                 "directory on a disk to keep chunks in; repeat for each disk. A new, empty one is "
                 "formatted")
      ->required();
  app.add_option("--metaserver", options.metaserver, "HOST:PORT of the metaserver's gRPC service")
      ->required();
  app.add_option("--listen", options.listen, "address to listen on, 0.0.0.0 for all");
  app.add_option("--advertise", options.advertise,
                 "address that others connect to; default: that of --listen");
  app.add_option("--port", options.port, "TCP port, 0 for any free one");
  penstock::net::AddTransportFlags(app, &options.transport);
  app.add_option("--key-file", options.key_file, "file with the cluster key, mode 0600")
      ->required();
  app.add_option("--tls-ca", options.tls_ca, "certificate of the cluster CA (PEM)")->required();
  app.add_option("--tls-cert", options.tls_cert, "certificate of this server (PEM)")->required();
  app.add_option("--tls-key", options.tls_key, "private key of this server (PEM)")->required();
  app.add_option("--rack", options.rack,
                 "label of a failure domain; copies of a chunk never share one");
  penstock::AddBytes(app, "--reserve", options.reserve_bytes,
                     "space of each disk to keep free, unless space.reserve is set");
  penstock::AddBytes(app, "--index-cache", options.index_cache_bytes,
                     "memory for the chunk index of each target");
  app.add_option("--reactor-threads", options.reactor_threads, "threads for connections");
  app.add_option("--read-threads", options.read_threads, "threads that read, for each target");
  app.add_option("--write-threads", options.write_threads,
                 "threads that write, for each place in a chain");
  penstock::AddBytes(
      app, "--sync-rate", options.sync_bytes_per_second,
      "bytes a second to fetch from other copies to catch up, unless sync.rate is set; "
      "0: no limit");
  app.add_option(
         "--scrub-days", options.scrub_days,
         "days in which all chunks of a target are read and checked, unless scrub.every is set; "
         "0: only on order")
      ->check(CLI::Range(0.0, 3650.0));
  penstock::AddDuration(app, "--heartbeat-timeout", options.heartbeat_timeout,
                        "limit of one call to the metaserver");
  penstock::AddDuration(app, "--fence-after", options.fence_after,
                        "stop serving so long after the last heartbeat that was answered; at most "
                        "half of the cluster's offline.after");
  penstock::AddDuration(app, "--stop-grace", options.stop_grace,
                        "time for calls under way at SIGTERM");
  app.add_option("--metrics", options.metrics,
                 "HOST:PORT that serves metrics for Prometheus; open to whoever reaches it");
  app.add_option("--log-level", options.log_level, "debug, info, warning or error");
  app.add_option("--log-file", options.log_file, "log file; default: standard error");
}

// To whoever started it, and to the log when that is a file.
int Fail(const absl::Status& status, const std::string& log_file) {
  std::cerr << "penstock-chunkserver: " << status.message() << "\n";
  if (!log_file.empty()) {
    SPDLOG_ERROR("chunkserver failed error={}",
                 penstock::Quoted(penstock::ToStd(status.message())));
  }
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  penstock::BlockStopSignals();
  CLI::App app("Serves the chunks on this machine's disks to a Penstock cluster.");
  ChunkserverOptions options;
  penstock::SetUpProgram(app, "penstock-chunkserver");
  AddOptions(app, options);
  CLI11_PARSE(app, argc, argv);

  penstock::LoggingOptions logging{"chunkserver", options.log_level, options.log_file};
  if (absl::Status status = penstock::StartLogging(logging); !status.ok()) {
    return Fail(status, "");
  }
  auto server = ChunkServer::Start(options, penstock::PosixFileSystem(), penstock::SystemClock());
  if (!server.ok()) return Fail(server.status(), options.log_file);
  penstock::NotifyReady((*server)->registered() ? "serving"
                                                : "serving; metaserver not reached yet");

  const int signal = penstock::WaitForStopSignal();
  SPDLOG_INFO("chunkserver stopping signal={}", signal);
  penstock::NotifyStopping();
  (*server)->Stop();
  SPDLOG_INFO("chunkserver stopped");
  return 0;
}
