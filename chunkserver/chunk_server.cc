#include "chunkserver/chunk_server.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "chunkserver/chain/pending_settler.h"
#include "chunkserver/chain/write_chain.h"
#include "chunkserver/chunkserver_metrics.h"
#include "chunkserver/control/map_watch.h"
#include "chunkserver/control/metaserver_link.h"
#include "chunkserver/control/order_worker.h"
#include "chunkserver/control/target_health.h"
#include "chunkserver/scrub/copy_repair.h"
#include "chunkserver/scrub/scrubber.h"
#include "chunkserver/server_identity.h"
#include "chunkserver/service/chunk_service.h"
#include "chunkserver/service/fence_table.h"
#include "chunkserver/service/serving_lease.h"
#include "chunkserver/sync/group_sync.h"
#include "common/net/auto_transport.h"
#include "common/net/grpc_credentials.h"
#include "common/net/rpc_server.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

absl::Status CheckOptions(const ChunkserverOptions& options) {
  if (options.dir.empty()) return absl::InvalidArgumentError("--dir is needed");
  if (options.targets.empty()) return absl::InvalidArgumentError("at least one --target is needed");
  if (options.metaserver.empty()) {
    return absl::InvalidArgumentError("--metaserver HOST:PORT (its gRPC port) is needed");
  }
  if (options.key_file.empty()) {
    return absl::InvalidArgumentError("--key-file is needed: the cluster key");
  }
  auto sorted = options.targets;
  std::sort(sorted.begin(), sorted.end());
  if (auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end()) {
    return absl::InvalidArgumentError(absl::StrCat("--target ", *twice, " is given twice"));
  }
  if (options.read_threads < 1 || options.write_threads < 1 || options.reactor_threads < 1) {
    return absl::InvalidArgumentError("every kind of thread is needed at least once");
  }
  return options.metrics.empty() ? absl::OkStatus() : CheckMetricsAddress(options.metrics);
}

// One process a directory. Held until the descriptor is closed.
absl::StatusOr<int> LockDirectory(const std::string& dir) {
  const std::string path = absl::StrCat(dir, "/lock");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return PosixError(errno, absl::StrCat("cannot open ", path));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    return absl::FailedPreconditionError(
        absl::StrCat("another penstock-chunkserver runs on ", dir));
  }
  return fd;
}

// The first address of this machine that is not the loopback one.
std::string FirstAddress() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return "127.0.0.1";
  std::string found = "127.0.0.1";
  for (ifaddrs* it = all; it != nullptr; it = it->ifa_next) {
    if (it->ifa_addr == nullptr || it->ifa_addr->sa_family != AF_INET) continue;
    const auto* address = reinterpret_cast<const sockaddr_in*>(it->ifa_addr);
    if ((ntohl(address->sin_addr.s_addr) >> 24) == 127) continue;
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
    found = text;
    break;
  }
  freeifaddrs(all);
  return found;
}

std::string AdvertisedHost(const ChunkserverOptions& options) {
  if (!options.advertise.empty()) return options.advertise;
  return options.listen == "0.0.0.0" || options.listen == "::" ? FirstAddress() : options.listen;
}

}  // namespace

// In the order of construction; destroyed backwards.
struct ChunkServer::Parts {
  ChunkserverOptions options;
  FileSystem* fs = nullptr;
  Clock* clock = nullptr;
  int lock_fd = -1;
  bool stopped = false;
  std::optional<net::ClusterKey> key;
  ServerIdentity identity;
  MapHolder map;
  std::optional<net::AutoTransport> transport;
  std::unique_ptr<Targets> targets;
  ChunkLocks locks;
  FenceTable fences;
  AdoptedGroups adopted;
  std::optional<ServingLease> lease;
  std::unique_ptr<PeerClients> peers;
  std::unique_ptr<WriteChain> chain;
  std::unique_ptr<PendingSettler> settler;
  std::unique_ptr<ChunkService> service;
  std::unique_ptr<net::RpcServer> server;
  std::unique_ptr<wire::Cluster::Stub> stub;
  std::unique_ptr<HealthSampler> health;
  std::unique_ptr<OrderWorker> orders;
  std::unique_ptr<GroupSync> sync;
  std::unique_ptr<CopyRepair> repair;
  std::unique_ptr<Scrubber> scrubber;
  std::unique_ptr<HeldGroups> held;
  std::unique_ptr<MapWatch> watch;
  std::optional<SettingFollower> settings;
  std::unique_ptr<MetricsServer> metrics;  // null: not wanted
  std::unique_ptr<MetaserverLink> link;

  // What the settings name is there, before a disk is touched.
  absl::Status Prepare();
  absl::Status OpenTargets(const std::string& boot_id);
  absl::Status Listen();
  absl::Status Join(const std::string& boot_id);
  void FollowSettings();
  absl::Status ServeMetrics();
};

absl::Status ChunkServer::Parts::Prepare() {
  RETURN_IF_ERROR(CheckOptions(options));
  ASSIGN_OR_RETURN(key, net::ClusterKey::Load(options.key_file));
  const net::TlsFiles files{options.tls_ca, options.tls_cert, options.tls_key};
  ASSIGN_OR_RETURN(auto channel, net::MakeChannel(options.metaserver, files));
  stub = wire::Cluster::NewStub(channel);
  return absl::OkStatus();
}

absl::Status ChunkServer::Parts::OpenTargets(const std::string& boot_id) {
  ASSIGN_OR_RETURN(identity, LoadOrMakeIdentity(options.dir, options.cluster_id, fs));
  ASSIGN_OR_RETURN(lock_fd, LockDirectory(options.dir));
  ASSIGN_OR_RETURN(targets, Targets::Open(options, boot_id, &identity, fs, clock));
  return absl::OkStatus();
}

absl::Status ChunkServer::Parts::Listen() {
  const net::PeerCredentials credentials{*key, identity.cluster_id};
  transport.emplace(options.transport);
  // One more than the workers of a hop: the settler.
  peers = std::make_unique<PeerClients>(&*transport, credentials, options.write_threads + 1);
  chain = std::make_unique<WriteChain>(&map, peers.get(), &locks);
  settler = std::make_unique<PendingSettler>(targets.get(), chain.get(), clock);
  lease.emplace(clock, options.fence_after);
  service = std::make_unique<ChunkService>(
      options, ChunkService::Parts{&map, targets.get(), chain.get(), settler.get(), &fences,
                                   &adopted, &*lease});
  net::RpcServerOptions server_options;
  server_options.listen_host = options.listen;
  server_options.port = options.port;
  server_options.reactor_threads = options.reactor_threads;
  server_options.credentials = credentials;
  server_options.program = "penstock-chunkserver";
  server = std::make_unique<net::RpcServer>(&*transport, server_options);
  service->Install(server.get());
  service->Start();
  settler->Start();
  return server->Start();
}

void ChunkServer::Parts::FollowSettings() {
  ClusterSettings own;
  own.sync_bytes_per_second = options.sync_bytes_per_second;
  own.reserve_bytes = options.reserve_bytes;
  own.scrub_every = absl::Hours(24) * options.scrub_days;
  settings.emplace(own, [this](const ClusterSettings& now) {
    sync->SetRate(now.sync_bytes_per_second);
    repair->SetRate(now.sync_bytes_per_second);
    scrubber->SetEvery(now.scrub_every);
    for (const auto& target : targets->all()) {
      if (target->is_open()) target->store->SetReserve(now.reserve_bytes);
    }
  });
}

absl::Status ChunkServer::Parts::Join(const std::string& boot_id) {
  health = std::make_unique<HealthSampler>(HealthSampler::Parts{targets.get(), fs, clock, boot_id});
  health->Start();
  orders = std::make_unique<OrderWorker>(
      OrderWorker::Parts{&map, targets.get(), chain.get(), &locks, peers.get()});
  orders->Start();
  sync = std::make_unique<GroupSync>(
      GroupSync::Parts{&map, targets.get(), peers.get(), &locks, &adopted, clock},
      GroupSync::Options{.bytes_per_second = options.sync_bytes_per_second});
  sync->Start();
  repair = std::make_unique<CopyRepair>(
      CopyRepair::Parts{&map, targets.get(), peers.get(), &locks, settler.get(), clock},
      CopyRepair::Options{.bytes_per_second = options.sync_bytes_per_second});
  repair->Start();
  scrubber =
      std::make_unique<Scrubber>(Scrubber::Parts{targets.get(), fs, clock},
                                 ScrubOptions{.every = absl::Hours(24) * options.scrub_days});
  scrubber->Start();
  ServerFacts facts;
  facts.dir = options.dir;
  facts.hostname = HostName();
  wire::Address address;
  address.set_host(AdvertisedHost(options));
  address.set_port(server->port());
  address.set_transport("tcp");
  facts.addresses.push_back(address);
  if (server->rdma_port() != 0) {
    address.set_port(server->rdma_port());
    address.set_transport("rdma");
    facts.addresses.push_back(address);
  }
  facts.boot_id = boot_id;
  facts.instance = NewUuid();
  facts.rack = options.rack;
  facts.version = PENSTOCK_VERSION;
  facts.call_timeout = options.heartbeat_timeout;
  facts.fence_after = options.fence_after;
  MetaserverLink::Parts parts;
  parts.stub = stub.get();
  parts.identity = &identity;
  parts.targets = targets.get();
  parts.map = &map;
  parts.fences = &fences;
  parts.orders = orders.get();
  parts.health = health.get();
  parts.fs = fs;
  parts.clock = clock;
  parts.sync = sync.get();
  parts.scrubber = scrubber.get();
  parts.lease = &*lease;
  held = std::make_unique<HeldGroups>(targets.get());
  parts.held = held.get();
  FollowSettings();
  parts.settings = &*settings;
  link = std::make_unique<MetaserverLink>(std::move(facts), parts);
  RETURN_IF_ERROR(link->Start());
  watch = std::make_unique<MapWatch>(stub.get(), &map);
  watch->Start();
  return ServeMetrics();
}

absl::Status ChunkServer::Parts::ServeMetrics() {
  if (options.metrics.empty()) return absl::OkStatus();
  const MetricSources sources{.targets = targets.get(),
                              .health = health.get(),
                              .sync = sync.get(),
                              .orders = orders.get(),
                              .settler = settler.get(),
                              .service = service.get(),
                              .lease = &*lease,
                              .link = link.get(),
                              .map = &map,
                              .rpc = server.get(),
                              .transport = &*transport};
  auto source = [sources] { return ChunkserverMetrics(sources); };
  ASSIGN_OR_RETURN(metrics, MetricsServer::Listen(options.metrics, source));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ChunkServer>> ChunkServer::Start(ChunkserverOptions options,
                                                                FileSystem* fs, Clock* clock) {
  auto parts = std::make_unique<Parts>();
  parts->options = std::move(options);
  parts->fs = fs;
  parts->clock = clock;
  auto server = std::unique_ptr<ChunkServer>(new ChunkServer(std::move(parts)));
  const std::string boot_id = MachineBootId();
  RETURN_IF_ERROR(server->parts_->Prepare());
  RETURN_IF_ERROR(server->parts_->OpenTargets(boot_id));
  RETURN_IF_ERROR(server->parts_->Listen());
  RETURN_IF_ERROR(server->parts_->Join(boot_id));
  SPDLOG_INFO("chunkserver started cluster={} address={}:{} targets={}",
              server->parts_->identity.cluster_id, server->parts_->options.listen, server->port(),
              server->parts_->targets->all().size());
  return server;
}

ChunkServer::ChunkServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ChunkServer::~ChunkServer() { Stop(); }

void ChunkServer::Stop() {
  Parts& parts = *parts_;
  if (std::exchange(parts.stopped, true)) return;
  parts.metrics.reset();
  // Nothing new comes from the metaserver, then none from clients; what is under way ends or is cut
  // off, and last the disks are synced.
  if (parts.link) parts.link->Stop();
  if (parts.held) parts.held->Stop();
  if (parts.watch) parts.watch->Stop();
  if (parts.sync) parts.sync->Stop();
  if (parts.repair) parts.repair->Stop();
  if (parts.scrubber) parts.scrubber->Stop();
  if (parts.server) parts.server->Stop(parts.options.stop_grace);
  if (parts.chain) parts.chain->Stop();
  if (parts.orders) parts.orders->Stop();
  if (parts.settler) parts.settler->Stop();
  if (parts.service) parts.service->Stop();
  if (parts.health) parts.health->Stop();
  if (parts.targets) parts.targets->Close();
  if (parts.lock_fd >= 0) close(parts.lock_fd);
}

uint16_t ChunkServer::port() const { return parts_->server->port(); }
bool ChunkServer::registered() const { return parts_->link->registered(); }
const Targets& ChunkServer::targets() const { return *parts_->targets; }
const MapHolder& ChunkServer::map() const { return parts_->map; }

}  // namespace penstock::chunkserver
