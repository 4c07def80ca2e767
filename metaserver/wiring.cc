#include "metaserver/wiring.h"

#include <absl/random/random.h>
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <bit>

#include "common/file.h"
#include "common/logging.h"
#include "common/net/auto_transport.h"
#include "common/program.h"
#include "common/status.h"
#include "metaserver/backup/restore.h"
#include "metaserver/log/single_node_log.h"
#include "metaserver/metaserver_metrics.h"

namespace penstock::metaserver {
namespace {

constexpr uint64_t kMinChunkBytes = 64 * kKiB;
constexpr uint64_t kMaxChunkBytes = 64 * kMiB;

absl::Status CheckOptions(const MetaserverOptions& options) {
  if (options.dir.empty()) {
    return absl::InvalidArgumentError(
        "--dir DIRECTORY says where the metadata lies; it is missing");
  }
  if (options.key_file.empty()) {
    return absl::InvalidArgumentError(
        "--key-file FILE names the cluster key (make one with `penstock key`); it is missing");
  }
  if (!std::has_single_bit(options.chunk_size) || options.chunk_size < kMinChunkBytes ||
      options.chunk_size > kMaxChunkBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--chunk-size must be a power of two from ", FormatBytes(kMinChunkBytes), " to ",
        FormatBytes(kMaxChunkBytes), ", not ", FormatBytes(options.chunk_size)));
  }
  if (!std::has_single_bit(options.groups) || options.groups > (1u << 20)) {
    return absl::InvalidArgumentError("--groups must be a power of two, at most 1048576");
  }
  if (options.rpc_threads == 0 || options.meta_workers == 0) {
    return absl::InvalidArgumentError("--rpc-threads and --meta-workers must be at least 1");
  }
  return options.metrics.empty() ? absl::OkStatus() : CheckMetricsAddress(options.metrics);
}

// An order's acknowledgement may arrive after a restart; it must not meet a new order.
uint64_t FirstOrderId() {
  absl::BitGen random;
  return (uint64_t{absl::Uniform<uint32_t>(random)} << 32) + 1;
}

}  // namespace

Metaserver::Metaserver(const MetaserverOptions& options, Clock* clock)
    : options_(options),
      clock_(clock),
      instance_(NewUuid()),
      transport_(std::make_unique<net::AutoTransport>(options.transport)) {}

Metaserver::~Metaserver() { Stop(); }

absl::StatusOr<std::unique_ptr<Metaserver>> Metaserver::Start(const MetaserverOptions& options,
                                                              Clock* clock) {
  RETURN_IF_ERROR(CheckOptions(options));
  // Secrets first: a refusal leaves no half-made directory behind.
  ASSIGN_OR_RETURN(net::ClusterKey key, net::ClusterKey::Load(options.key_file));
  RETURN_IF_ERROR(net::ServerCredentials(options.tls).status());
  auto server = std::unique_ptr<Metaserver>(new Metaserver(options, clock));
  RETURN_IF_ERROR(server->OpenState());
  RETURN_IF_ERROR(server->Serve(key));
  return server;
}

absl::Status Metaserver::OpenState() {
  RETURN_IF_ERROR(PosixFileSystem()->MakeDirectory(options_.dir));
  ASSIGN_OR_RETURN(lock_, DirectoryLock::Take(options_.dir));
  RETURN_IF_ERROR(CheckNotHalfRestored(options_.dir, PosixFileSystem()));
  ASSIGN_OR_RETURN(store_, MetaStore::Open({.dir = options_.dir + "/db",
                                            .block_cache_bytes = options_.block_cache}));
  ASSIGN_OR_RETURN(log_, SingleNodeLog::Open(store_.get()));
  space_ = std::make_unique<SpaceGuard>(
      SpaceGuardOptions{.dir = options_.dir, .reserve_bytes = options_.reserve}, PosixFileSystem(),
      [log = log_.get(), store = store_.get()]() -> absl::Status {
        RETURN_IF_ERROR(log->RecoverFromFullDisk());
        return store->ResumeBackgroundWork();
      });
  space_->Start();
  const ClusterOptions cluster_options{.cluster_id = options_.cluster_id,
                                       .replication = options_.replication,
                                       .group_count = options_.groups,
                                       .initial_targets = options_.initial_targets,
                                       .offline_after = options_.offline_after,
                                       .repair_after = options_.repair_after};
  ASSIGN_OR_RETURN(events_, EventLog::Open({}, store_.get(), log_.get(), clock_));
  auto cluster = ClusterState::Open(
      cluster_options, {store_.get(), log_.get(), clock_, FirstOrderId(), events_.get()});
  if (!cluster.ok()) return Annotate(cluster.status(), options_.dir);
  cluster_ = *std::move(cluster);
  if (cluster_->created()) {
    SPDLOG_INFO("cluster made cluster_id={} given={} dir={}", cluster_->cluster_id(),
                !options_.cluster_id.empty(), Quoted(options_.dir));
  }
  NamespaceOptions names;
  names.chunk_size_log2 = static_cast<uint8_t>(std::countr_zero(options_.chunk_size));
  names.storage_class = kDefaultStorageClass;
  names.sessions.timeout = options_.session_timeout;
  names.sessions.expiry = options_.session_expiry;
  names.room = [space = space_.get()] { return space->CheckRoom(); };
  ASSIGN_OR_RETURN(names_, Namespace::Open(names, store_.get(), log_.get(), clock_));
  names_->sessions().SetEvents(events_.get());
  names_->leases().SetContestedWindow(cluster_->settings().Current().leases_contested);
  lock_events_ = std::make_unique<LockEvents>(&names_->events());
  file_locks_ = std::make_unique<FileLocks>(FileLocksOptions(), lock_events_.get());
  lock_service_ = std::make_unique<LockService>(file_locks_.get(), &names_->sessions());
  lock_service_->Attach();
  return absl::OkStatus();
}

absl::Status Metaserver::Serve(net::ClusterKey key) {
  reclaimer_ = std::make_unique<Reclaimer>(ReclaimerOptions{.grace = options_.reclaim_grace},
                                           names_.get(), &cluster_->orders(), &cluster_->fences());
  meta_service_ = std::make_unique<MetaService>(
      MetaServiceOptions{.cluster_id = cluster_id(),
                         .instance = instance_,
                         .workers = static_cast<int>(options_.meta_workers)},
      names_.get(), &cluster_->map(), cluster_.get());
  net::RpcServerOptions rpc;
  rpc.listen_host = options_.listen;
  rpc.port = options_.port;
  rpc.reactor_threads = static_cast<int>(options_.rpc_threads);
  rpc.credentials = {key, cluster_id()};
  rpc.program = "penstock-metaserver";
  rpc_ = std::make_unique<net::RpcServer>(transport_.get(), rpc);
  meta_service_->Register(*rpc_);
  lock_service_->Register(*rpc_);

  events_->Add(Severity::kInfo, "metaserver.started",
               absl::StrCat("the metaserver has started, version ", PENSTOCK_VERSION));
  events_->Start();
  cluster_->Start();
  meta_service_->Start();
  RETURN_IF_ERROR(Annotate(rpc_->Start(), absl::StrCat("cannot listen on ", options_.listen, ":",
                                                       options_.port, " (--listen, --port)")));
  const std::string& host = options_.advertise.empty() ? options_.listen : options_.advertise;
  cluster_service_ = std::make_unique<ClusterService>(cluster_.get());
  admin_service_ = std::make_unique<AdminService>(
      AdminService::Sources{.cluster = cluster_.get(),
                            .names = names_.get(),
                            .locks = file_locks_.get(),
                            .space = space_.get(),
                            .events = events_.get(),
                            .clock = clock_,
                            .address = absl::StrCat(host, ":", rpc_->port())});
  ASSIGN_OR_RETURN(control_,
                   ControlServer::Start({options_.listen, options_.grpc_port, options_.tls},
                                        {cluster_service_.get(), admin_service_.get()}));
  reclaimer_->Start();
  return ServeMetrics();
}

absl::Status Metaserver::ServeMetrics() {
  if (options_.metrics.empty()) return absl::OkStatus();
  const MetricSources sources{.cluster = cluster_.get(),
                              .names = names_.get(),
                              .locks = file_locks_.get(),
                              .reclaimer = reclaimer_.get(),
                              .service = meta_service_.get(),
                              .rpc = rpc_.get(),
                              .admin = admin_service_.get(),
                              .space = space_.get()};
  auto source = [sources] { return MetaserverMetrics(sources); };
  ASSIGN_OR_RETURN(metrics_, MetricsServer::Listen(options_.metrics, source));
  return absl::OkStatus();
}

// Askers first, then the work in the background, then the log: what was acknowledged is synced. Who
// cannot be heard any more is not judged by his silence: with the heartbeats the cluster's clock
// ends, too.
void Metaserver::Stop() {
  metrics_.reset();
  if (reclaimer_ != nullptr) reclaimer_->Stop();
  if (control_ != nullptr) control_->Stop();
  if (cluster_ != nullptr) cluster_->Stop();
  if (meta_service_ != nullptr) meta_service_->StopWaiting();
  if (rpc_ != nullptr) rpc_->Stop();
  if (meta_service_ != nullptr) meta_service_->Stop();
  if (space_ != nullptr) space_->Stop();
  if (events_ != nullptr) events_->Stop();
  if (log_ != nullptr) {
    const absl::Status synced = log_->Sync();
    if (!synced.ok()) SPDLOG_ERROR("log not synced error={}", Quoted(synced.ToString()));
  }
}

}  // namespace penstock::metaserver
