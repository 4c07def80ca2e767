// penstock-metaserver: flags, logs, start, wait for a signal, stop.
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cstdio>

#include "common/logging.h"
#include "common/net/transport_flags.h"
#include "common/program.h"
#include "metaserver/backup/restore.h"
#include "metaserver/wiring.h"

namespace penstock::metaserver {
namespace {

void AddStorageFlags(CLI::App& app, MetaserverOptions& o) {
  app.add_option("--dir", o.dir, "directory of the metadata; made when it is not there");
  app.add_option("--cluster-id", o.cluster_id,
                 "id of the cluster; default: the stored one, or a new one at the first start");
  app.add_option("--replication", o.replication,
                 "copies of each chunk; used when the cluster is made")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  AddBytes(app, "--chunk-size", o.chunk_size,
           "size of a chunk, a power of two; used when the cluster is made");
  app.add_option("--groups", o.groups,
                 "replication groups, a power of two; used when they are formed")
      ->capture_default_str();
  app.add_option("--initial-targets", o.initial_targets,
                 "groups are formed when so many targets registered; 0: as many as copies")
      ->capture_default_str();
  app.add_option("--restore", o.restore,
                 "restore this backup into the empty --dir, then end (`penstock backup restore`)");
  AddBytes(app, "--reserve", o.reserve,
           "free space of the disk below which names are read-only (ENOSPC)");
  AddBytes(app, "--block-cache", o.block_cache, "memory for metadata read from disk");
}

void AddNetworkFlags(CLI::App& app, MetaserverOptions& o) {
  app.add_option("--listen", o.listen, "IP address to listen on; 0.0.0.0: all")
      ->capture_default_str();
  app.add_option("--advertise", o.advertise, "address shown to people; default: that of --listen");
  app.add_option("--port", o.port, "Penstock RPC: clients; 0: any free one")->capture_default_str();
  app.add_option("--grpc-port", o.grpc_port,
                 "gRPC: chunkservers and administrators; 0: any free one")
      ->capture_default_str();
  net::AddTransportFlags(app, &o.transport);
  app.add_option("--key-file", o.key_file, "cluster key, mode 0600 (see `penstock key`)");
  app.add_option("--tls-ca", o.tls.ca_cert, "certificate of the cluster CA, PEM");
  app.add_option("--tls-cert", o.tls.cert, "this server's certificate, PEM");
  app.add_option("--tls-key", o.tls.key, "its key, PEM");
  app.add_option("--metrics", o.metrics,
                 "HOST:PORT that serves metrics for Prometheus; open to whoever reaches it");
  app.add_option("--rpc-threads", o.rpc_threads, "threads that answer Penstock RPC")
      ->capture_default_str();
  app.add_option("--meta-workers", o.meta_workers, "metadata changes at once")
      ->capture_default_str();
}

void AddTimeFlags(CLI::App& app, MetaserverOptions& o) {
  AddDuration(app, "--session-timeout", o.session_timeout, "a client silent for longer is stale");
  AddDuration(app, "--session-expiry", o.session_expiry, "a client silent for longer is ended");
  AddDuration(app, "--reclaim-grace", o.reclaim_grace,
              "deleted data stays on disk at least so long");
  AddDuration(app, "--offline-after", o.offline_after,
              "a chunkserver silent for longer is offline, unless offline.after is set");
  AddDuration(app, "--repair-after", o.repair_after,
              "then another target takes the place of one that is away, unless "
              "repair.after is set");
}

int RunRestore(const MetaserverOptions& options) {
  auto report = RestoreBackup({options.dir, options.restore}, PosixFileSystem(), SystemClock());
  if (!report.ok()) {
    std::fprintf(stderr, "penstock-metaserver: %s\n",
                 std::string(report.status().message()).c_str());
    return 1;
  }
  std::printf("restored cluster %s of log index %llu: %llu records in %s\n",
              report->start.cluster_id().c_str(),
              static_cast<unsigned long long>(report->start.log_index()),
              static_cast<unsigned long long>(report->records), options.dir.c_str());
  return 0;
}

int Fail(const absl::Status& status, bool log_is_a_file) {
  const std::string message(status.message());
  if (log_is_a_file) SPDLOG_ERROR("metaserver cannot start error={}", Quoted(message));
  std::fprintf(stderr, "penstock-metaserver: %s\n", message.c_str());
  return 1;
}

int Main(int argc, char** argv) {
  BlockStopSignals();
  umask(0077);  // metadata and logs are the server's alone
  MetaserverOptions options;
  CLI::App app("Penstock metaserver: names, attributes, membership and placement");
  SetUpProgram(app, "penstock-metaserver");
  AddStorageFlags(app, options);
  AddNetworkFlags(app, options);
  AddTimeFlags(app, options);
  app.add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->capture_default_str();
  app.add_option("--log-file", options.log_file, "default: standard error");
  CLI11_PARSE(app, argc, argv);

  absl::Status logging =
      StartLogging({.program = "metaserver", .level = options.log_level, .file = options.log_file});
  if (!logging.ok()) return Fail(logging, false);
  if (!options.restore.empty()) return RunRestore(options);
  auto server = Metaserver::Start(options);
  if (!server.ok()) return Fail(server.status(), !options.log_file.empty());
  SPDLOG_INFO("metaserver ready version={} cluster_id={} listen={} port={} grpc_port={} dir={}",
              PENSTOCK_VERSION, (*server)->cluster_id(), options.listen, (*server)->rpc_port(),
              (*server)->grpc_port(), Quoted(options.dir));
  NotifyReady("serving");
  const int signal = WaitForStopSignal();
  NotifyStopping();
  SPDLOG_INFO("metaserver stopping signal={}", signal);
  (*server)->Stop();
  SPDLOG_INFO("metaserver stopped");
  return 0;
}

}  // namespace
}  // namespace penstock::metaserver

int main(int argc, char** argv) { return penstock::metaserver::Main(argc, argv); }
