#include "client/fuse/mounted_client.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <thread>

#include "client/alarm.h"
#include "client/client_metrics.h"
#include "client/fuse/mount_signals.h"
#include "client/wait.h"
#include "common/status.h"

namespace penstock::client {
namespace {

constexpr absl::Duration kOpenTimeout =
    absl::Seconds(10);  // of the first call, and of each later one
constexpr absl::Duration kInterruptGrace = absl::Seconds(2);  // of a handled SIGINT or SIGTERM
constexpr absl::Duration kSettleEvery = absl::Seconds(1);
constexpr absl::Duration kTruncationsWithin = absl::Seconds(10);
constexpr absl::Duration kResumePause = absl::Milliseconds(500);

ClientOptions ToClientOptions(const MountOptions& mount, uint64_t first_number) {
  ClientOptions options;
  options.first_number = first_number;
  options.subdir = mount.subdir;
  options.mountpoint = mount.mountpoint;
  options.io_timeout = mount.io_timeout;
  options.dirty_limit_bytes = mount.memory_bytes / 4;
  options.cached_inodes = static_cast<size_t>(mount.memory_bytes / 8 / kKiB);
  options.max_connections = mount.max_connections;
  options.sync_on_close = mount.sync_on_close;
  options.read_only = mount.read_only;
  options.atime = mount.read_only ? AtimeRule::kNever : mount.atime;
  options.directory_atime = mount.directory_atime;
  return options;
}

// rdma_cm repeats a lost message after 4 s only, and without TCP there is nothing else to take.
absl::Duration ConnectTimeout(net::TransportMode mode) {
  return mode == net::TransportMode::kRdma ? absl::Seconds(9) : absl::Seconds(3);
}

// Its RDMA listener has the port of the TCP one; whether there is one shows when it is tried.
std::vector<wire::Address> MetaserverAddresses(const wire::Address& tcp) {
  wire::Address rdma = tcp;
  rdma.set_transport("rdma");
  return {tcp, rdma};
}

}  // namespace

std::unique_ptr<RpcMetaTransport> MountedClient::MetaConnections(int connections) const {
  net::RpcClientOptions options = rpc_;
  options.max_connections = connections;
  return std::make_unique<RpcMetaTransport>(
      std::make_unique<net::RpcClient>(&transport_, MetaserverAddresses(metaserver_), options));
}

MountedClient::MountedClient(const MountOptions& options, wire::Address metaserver,
                             net::ClusterKey key, MountJournal* journal)
    : options_(options),
      metaserver_(std::move(metaserver)),
      journal_(journal),
      first_number_(journal->StartClient()),
      rpc_{.credentials = {std::move(key), ""},
           .role = wire::ROLE_CLIENT,
           .max_connections = options.max_connections,
           .connect_timeout = ConnectTimeout(options.transport.mode)},
      transport_(options.transport),
      holds_(first_number_),
      operations_(MetaConnections(options.max_connections)),
      heartbeats_(MetaConnections(1)),
      map_polls_(MetaConnections(1)),
      event_polls_(MetaConnections(1)),
      event_acks_(MetaConnections(4)),
      cache_(options.memory_bytes / 4, SystemClock()),
      session_(heartbeats_.get(), &holds_, SystemClock(),
               {.subdir = options.subdir,
                .mountpoint = options.mountpoint,
                .open_timeout = std::min(options.io_timeout, kOpenTimeout),
                .client = first_number_}),
      map_watcher_(map_polls_.get(), &maps_),
      meta_(operations_.get(), &session_,
            {.io_timeout = options.io_timeout,
             .slots = &journal->slots(),
             .client = first_number_,
             .on_old_answer = [this] { fs_.OnOldAnswer(); }}),
      chunk_servers_(&transport_, &maps_, rpc_),
      chunks_(&maps_, &chunk_servers_,
              {.io_timeout = options.io_timeout, .pace = {.least = options.hedge_after}}),
      writer_(&meta_, &chunks_, [this] { return session_.id(); },
              {.io_timeout = options.io_timeout,
               .dirty_limit_bytes = options.memory_bytes / 4,
               .next_channel = &journal->next_channel(),
               .cache = &cache_}),
      fs_(&meta_, &chunks_, &holds_, &writer_, &cache_, SystemClock(),
          ToClientOptions(options, first_number_)),
      events_(event_polls_.get(), event_acks_.get(), &session_,
              [this](SessionId session, const wire::SessionEvent& event, wire::EventAck* ack) {
                return OnEvent(session, event, ack);
              }) {
  session_.SetEvents(
      {.on_lost =
           [this](SessionId lost) {
             KeepSession();
             fs_.OnSessionLost(lost);
           },
       .on_server_restart = [this] { fs_.OnServerRestart(); },
       .add_transports = [this](wire::SessionHeartbeatRequest* report) { AddTransports(report); },
       .add_leases = [this](
                         bool whole,
                         wire::SessionHeartbeatRequest* report) { fs_.FillLeases(whole, report); },
       .leases_reported = [this](bool acknowledged) { fs_.LeasesReported(acknowledged); },
       .on_leases_lost = [this] { fs_.OnLeasesLost(); },
       .await_dropped = [this] { fs_.AwaitPageDrops(); },
       .on_leases_kept = [this](absl::Duration until) { cache_.SetValidUntil(until); }});
}

EventStream::Handled MountedClient::OnEvent(SessionId session, const wire::SessionEvent& event,
                                            wire::EventAck* ack) {
  auto later = [this, session](const wire::EventAck& answer) {
    events_.Acknowledge(session, answer);
  };
  return fs_.OnEvent(event, ack, later) ? EventStream::Handled::kDone
                                        : EventStream::Handled::kLater;
}

void MountedClient::AddTransports(wire::SessionHeartbeatRequest* report) const {
  if (report->whole()) fs_.AddLocks(report);
  wire::PeerTransport* meta = report->add_transports();
  meta->set_peer("metaserver");
  meta->set_transport(operations_->rpc().transport_name());
  meta->set_reason(operations_->rpc().why_not_rdma());
  meta->set_connections(static_cast<uint32_t>(operations_->rpc().open_connections()));
  for (const auto& connections : chunk_servers_.connections()) {
    wire::PeerTransport* server = report->add_transports();
    server->set_peer(absl::StrCat("server ", connections.server.value()));
    server->set_transport(connections.transport);
    server->set_reason(connections.why_not_rdma);
    server->set_server_id(connections.server.value());
    server->set_slow(chunks_.pace().Limps(connections.server, absl::Now()));
    server->set_connections(static_cast<uint32_t>(connections.open));
  }
}

// The session of a client that died goes on: what it held stays held, and a request that comes
// again finds the answer to its first try.
absl::Status MountedClient::BeginSession() {
  ASSIGN_OR_RETURN(const std::string kept, journal_->session());
  if (kept.empty()) {
    RETURN_IF_ERROR(
        Annotate(session_.Open(OpContext{}), absl::StrCat("metaserver ", options_.metaserver)));
    KeepSession();
    return absl::OkStatus();
  }
  wire::OpenSessionResponse opened;
  if (!opened.ParseFromString(kept)) return absl::DataLossError("mount journal: no session");
  session_.Resume(std::move(opened));
  return ResumeAtMetaserver();
}

// Before anything else is asked: what the dead client still has under way is refused from then on,
// and what it held comes back. While the metaserver is away the mount waits for it, as its users
// do.
absl::Status MountedClient::ResumeAtMetaserver() {
  wire::ResumeSessionRequest request;
  request.set_client(first_number_);
  sigset_t ending = MountSignalSet();
  sigdelset(&ending, SIGUSR1);  // for later
  const timespec pause = absl::ToTimespec(kResumePause);
  while (true) {
    request.set_session_id(session_.id().value());
    wire::ResumeSessionResponse held;
    const absl::Status resumed =
        heartbeats_->Call(wire::METHOD_RESUME_SESSION, request, &held, {.timeout = kOpenTimeout});
    if (resumed.ok()) {
      fs_.TakeOverLocks(held);
      truncating_.assign(held.truncating().begin(), held.truncating().end());
      return absl::OkStatus();
    }
    // The session ended: the first call will open another, and all that was held is lost.
    if (SessionEnded(resumed)) return absl::OkStatus();
    SPDLOG_WARN("session not resumed yet error={}", resumed.ToString());
    if (sigtimedwait(&ending, nullptr, &pause) > 0) {
      return PosixError(EINTR, "ended while the metaserver was away");
    }
  }
}

void MountedClient::KeepSession() {
  wire::OpenSessionResponse opened = session_.opened();
  opened.mutable_root()->clear_inline_data();
  absl::Status kept = journal_->SetSession(opened.SerializeAsString());
  if (!kept.ok()) SPDLOG_ERROR("a restart will open a new session error={}", kept.ToString());
}

std::vector<Metric> MountedClient::Metrics() const {
  std::vector<Metric> metrics = ClientMetrics(meta_, cache_, fs_, chunks_.pace());
  times_.AddTo(&metrics);
  transport_.AddMetrics(&metrics);
  wire::SessionHeartbeatRequest report;
  AddTransports(&report);
  Metric& connections =
      metrics.emplace_back(Metric::Of(Metric::Kind::kGauge, "penstock_client_connections",
                                      "Open connections, by server and by what carries them."));
  for (const wire::PeerTransport& peer : report.transports()) {
    connections.Add({{"peer", peer.peer()}, {"transport", peer.transport()}}, peer.connections());
  }
  metrics.push_back(Metric::Gauge("penstock_client_unwritten_bytes",
                                  "Written by programs and not on a chunkserver yet.",
                                  static_cast<double>(writer_.memory().used())));
  return metrics;
}

absl::Status MountedClient::ServeMetrics() {
  if (options_.metrics.empty()) return absl::OkStatus();
  auto source = [this] { return Metrics(); };
  auto server = MetricsServer::Listen(options_.metrics, source);
  if (server.ok()) {
    metrics_ = *std::move(server);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string kept, journal_->session());
  if (kept.empty()) return server.status();
  SPDLOG_ERROR("no metrics error={}", server.status().ToString());  // the mount goes on
  return absl::OkStatus();
}

absl::Status MountedClient::Run(DeviceDescriptors descriptors,
                                const std::function<void()>& on_ready) {
  RETURN_IF_ERROR(ServeMetrics());
  RETURN_IF_ERROR(BeginSession());
  InterruptGrace interrupts(kInterruptGrace);
  HandleTable handles(journal_, &fs_, &holds_);
  DeviceIo device(descriptors);
  const InodeNumber root(session_.root().attr().ino());
  KernelMemory memory(&cache_, SystemClock(), root);
  MountContext context;
  context.fs = &fs_;
  context.interrupts = &interrupts;
  context.handles = &handles;
  context.device = &device;
  context.memory = &memory;
  context.times = &times_;
  context.root = root;
  context.options = options_;
  fs_.SetKernelCache(&memory);
  absl::Status ended;
  {
    KernelSession kernel(&context);
    const absl::Status attached = kernel.Attach(journal_);
    if (!attached.ok()) {
      if (device.resumed()) session_.Leave();
      fs_.SetKernelCache(nullptr);
      return attached;
    }
    if (device.resumed()) {
      memory.ExpectAny();
      fs_.ExpectPages();
    }
    Start();
    FinishTruncations();
    interrupts.Start();
    ended = Serve(&kernel, &handles, on_ready);
    FlushAll();
    Stop(/*close_session=*/ended.ok());
  }
  fs_.SetKernelCache(nullptr);
  SPDLOG_INFO("unmounted mountpoint={} status={}", options_.mountpoint, ended.ToString());
  return ended;
}

// Before anybody can ask for another size. What cannot be done now (a chunkserver is away) is done
// by the next truncation of the file.
void MountedClient::FinishTruncations() {
  if (truncating_.empty()) return;
  const Alarm alarm(kTruncationsWithin);
  OpContext op;
  op.interrupt = alarm.interrupt();
  for (uint64_t ino : truncating_) {
    absl::Status finished = fs_.TruncateAnew(InodeNumber(ino), op);
    if (!finished.ok()) {
      SPDLOG_ERROR("truncation of an earlier client not finished ino={} error={}", ino,
                   finished.ToString());
    }
  }
  truncating_.clear();
}

// Nothing is taken down that has unanswered requests: they would be answered with an error.
void MountedClient::MakeWay(HandleTable* handles) {
  FlushAll();
  handles->SettleAll();
  session_.Leave();
  SPDLOG_INFO("left for another client mountpoint={}", options_.mountpoint);
  std::_Exit(kExitRestart);
}

void MountedClient::Start() {
  fs_.Start();
  events_.Start();
  session_.Start();
  map_watcher_.Start();
  writer_.Start();
  fs_.read_times().Start();
  fs_.prefetch().Start();
  fs_.lock_waits().Start();
}

void MountedClient::Stop(bool close_session) {
  fs_.prefetch().Stop();
  fs_.read_times().Stop();
  writer_.Stop();
  map_watcher_.Stop();
  if (close_session) {
    session_.Stop();
  } else {
    session_.Leave();
  }
  events_.Stop();
  fs_.Stop();
}

absl::Status MountedClient::Serve(KernelSession* kernel, HandleTable* handles,
                                  const std::function<void()>& on_ready) {
  MountSignals signals(kernel, [this, handles] {
    FlushAll();
    handles->SettleAll();
  });
  signals.Start();
  std::thread ready([&] {
    pthread_setname_np(pthread_self(), "ready");
    kernel->DropCaches(handles->inherited());
    maps_.WaitNewer(0, absl::Seconds(2));
    if (!kernel->resumed()) kernel->TuneReadAhead();  // which asks the metaserver
    if (on_ready) on_ready();
  });
  net::Interrupt ended;
  std::thread settler([&] {
    pthread_setname_np(pthread_self(), "settler");
    const OpContext op{.credentials = {}, .thread = 0, .interrupt = &ended};
    while (SleepFor(kSettleEvery, op).ok()) handles->SettleAll();
  });
  SPDLOG_INFO("mounted mountpoint={} metaserver={} cluster={} inherited_inodes={}",
              options_.mountpoint, options_.metaserver, session_.cluster_id(),
              handles->inherited().size());
  const absl::Status served = kernel->Serve();
  ended.Fire();
  signals.Stop();
  if (signals.restart()) MakeWay(handles);
  ready.join();
  settler.join();
  fs_.lock_waits().Stop();  // while requests can still be answered
  return served;
}

void MountedClient::FlushAll() {
  Alarm alarm(options_.io_timeout * 2);
  OpContext op;
  op.interrupt = alarm.interrupt();
  writer_.FlushAll(op);
}

}  // namespace penstock::client
