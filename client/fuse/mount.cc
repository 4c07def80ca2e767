// Wiring of a mount. Threads: FUSE workers (libfuse), heartbeat, map-watcher, chunk-writers,
// flusher, and `signals`, which ends the mount on SIGTERM.
#include "client/fuse/mount.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <malloc.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <memory>
#include <thread>

#include "client/alarm.h"
#include "client/chunk_client.h"
#include "client/client_metrics.h"
#include "client/event_stream.h"
#include "client/file_system.h"
#include "client/fuse/kernel_session.h"
#include "client/map_watcher.h"
#include "client/meta_client.h"
#include "common/net/tcp_transport.h"
#include "common/status.h"

namespace penstock::client {
namespace {

constexpr absl::Duration kOpenTimeout =
    absl::Seconds(10);  // of the first call, and of each later one
constexpr absl::Duration kOpenFilesGrace = absl::Seconds(3);  // after SIGTERM
constexpr absl::Duration kInterruptGrace = absl::Seconds(2);  // of a handled SIGINT or SIGTERM
constexpr absl::Duration kSignalPoll = absl::Milliseconds(200);

absl::StatusOr<wire::Address> ParseAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  wire::Address address;
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port) || port == 0 ||
      port > 65535) {
    return PosixError(EINVAL, absl::StrCat("metaserver address ", text, " is not HOST:PORT"));
  }
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  address.set_host(host);
  address.set_port(port);
  address.set_transport("tcp");
  return address;
}

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

// Everything of one mount, in the order in which it is built.
class MountedClient {
 public:
  MountedClient(const MountOptions& options, wire::Address metaserver, net::ClusterKey key);
  absl::Status Run(const std::function<void()>& on_ready);

 private:
  std::unique_ptr<RpcMetaTransport> MetaConnections(int connections) const;
  void AddTransports(wire::SessionHeartbeatRequest* report) const;
  EventStream::Handled OnEvent(SessionId session, const wire::SessionEvent& event,
                               wire::EventAck* ack);
  void WaitForSignal(KernelSession* kernel);
  void FlushAll();
  absl::Status ServeMetrics();

  const MountOptions options_;
  const wire::Address metaserver_;
  net::RpcClientOptions rpc_;
  mutable net::TcpTransport transport_;
  MapHolder maps_;
  HoldTable holds_;
  const std::unique_ptr<RpcMetaTransport> operations_;  // shared by all operations
  const std::unique_ptr<RpcMetaTransport> heartbeats_;  // never behind an operation
  const std::unique_ptr<RpcMetaTransport> map_polls_;
  const std::unique_ptr<RpcMetaTransport> event_polls_;
  const std::unique_ptr<RpcMetaTransport> event_acks_;
  EntryCache cache_;
  Session session_;
  MapWatcher map_watcher_;
  MetaClient meta_;
  RpcChunkServers chunk_servers_;
  ChunkClient chunks_;
  FileWriter writer_;
  FileSystem fs_;
  EventStream events_;
  std::unique_ptr<MetricsServer> metrics_;  // nullptr: not wanted
  std::atomic<bool> ended_{false};
};

ClientOptions ToClientOptions(const MountOptions& mount) {
  ClientOptions options;
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

std::unique_ptr<RpcMetaTransport> MountedClient::MetaConnections(int connections) const {
  net::RpcClientOptions options = rpc_;
  options.max_connections = connections;
  return std::make_unique<RpcMetaTransport>(std::make_unique<net::RpcClient>(
      &transport_, std::vector<wire::Address>{metaserver_}, options));
}

MountedClient::MountedClient(const MountOptions& options, wire::Address metaserver,
                             net::ClusterKey key)
    : options_(options),
      metaserver_(std::move(metaserver)),
      rpc_{.credentials = {std::move(key), ""},
           .role = wire::ROLE_CLIENT,
           .max_connections = options.max_connections},
      operations_(MetaConnections(options.max_connections)),
      heartbeats_(MetaConnections(1)),
      map_polls_(MetaConnections(1)),
      event_polls_(MetaConnections(1)),
      event_acks_(MetaConnections(4)),
      cache_(options.memory_bytes / 4, SystemClock()),
      session_(heartbeats_.get(), &holds_, SystemClock(),
               {.subdir = options.subdir,
                .mountpoint = options.mountpoint,
                .open_timeout = std::min(options.io_timeout, kOpenTimeout)}),
      map_watcher_(map_polls_.get(), &maps_),
      meta_(operations_.get(), &session_, {.io_timeout = options.io_timeout}),
      chunk_servers_(&transport_, &maps_, rpc_),
      chunks_(&maps_, &chunk_servers_, {.io_timeout = options.io_timeout}),
      writer_(&meta_, &chunks_, [this] { return session_.id(); },
              {.io_timeout = options.io_timeout,
               .dirty_limit_bytes = options.memory_bytes / 4,
               .cache = &cache_}),
      fs_(&meta_, &chunks_, &holds_, &writer_, &cache_, SystemClock(), ToClientOptions(options)),
      events_(event_polls_.get(), event_acks_.get(), &session_,
              [this](SessionId session, const wire::SessionEvent& event, wire::EventAck* ack) {
                return OnEvent(session, event, ack);
              }) {
  session_.SetEvents(
      {.on_lost = [this](SessionId lost) { fs_.OnSessionLost(lost); },
       .on_server_restart = [this] { fs_.OnServerRestart(); },
       .add_transports = [this](wire::SessionHeartbeatRequest* report) { AddTransports(report); },
       .add_leases = [this](
                         bool whole,
                         wire::SessionHeartbeatRequest* report) { fs_.FillLeases(whole, report); },
       .leases_reported = [this](bool acknowledged) { fs_.LeasesReported(acknowledged); },
       .on_leases_lost = [this] { fs_.OnLeasesLost(); },
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
  meta->set_connections(static_cast<uint32_t>(operations_->rpc().open_connections()));
  for (const auto& connections : chunk_servers_.connections()) {
    wire::PeerTransport* server = report->add_transports();
    server->set_peer(absl::StrCat("server ", connections.server.value()));
    server->set_transport(connections.transport);
    server->set_connections(static_cast<uint32_t>(connections.open));
  }
}

absl::Status MountedClient::ServeMetrics() {
  if (options_.metrics.empty()) return absl::OkStatus();
  auto source = [this] { return ClientMetrics(meta_, cache_, fs_); };
  ASSIGN_OR_RETURN(metrics_, MetricsServer::Listen(options_.metrics, source));
  return absl::OkStatus();
}

absl::Status MountedClient::Run(const std::function<void()>& on_ready) {
  RETURN_IF_ERROR(ServeMetrics());
  RETURN_IF_ERROR(
      Annotate(session_.Open(OpContext{}), absl::StrCat("metaserver ", options_.metaserver)));
  InterruptGrace interrupts(kInterruptGrace);
  const InodeNumber root(session_.root().attr().ino());
  KernelMemory memory(&cache_, SystemClock(), root);
  MountContext context{&fs_, &interrupts, &memory, root, options_};
  fs_.SetKernelCache(&memory);
  KernelSession kernel(&context);
  absl::Status status = kernel.Mount();
  if (status.ok()) {
    fs_.Start();
    events_.Start();
    session_.Start();
    map_watcher_.Start();
    writer_.Start();
    fs_.read_times().Start();
    fs_.prefetch().Start();
    interrupts.Start();
    fs_.lock_waits().Start();
    std::thread signals([&] {
      pthread_setname_np(pthread_self(), "signals");
      WaitForSignal(&kernel);
    });
    std::thread ready([&] {
      pthread_setname_np(pthread_self(), "ready");
      maps_.WaitNewer(0, absl::Seconds(2));
      kernel.TuneReadAhead();
      if (on_ready) on_ready();
    });
    SPDLOG_INFO("mounted mountpoint={} metaserver={} cluster={}", options_.mountpoint,
                options_.metaserver, session_.cluster_id());
    status = kernel.Serve();
    ended_ = true;
    signals.join();
    ready.join();
    fs_.lock_waits().Stop();  // while requests can still be answered
    FlushAll();
    fs_.prefetch().Stop();
    fs_.read_times().Stop();
    writer_.Stop();
    map_watcher_.Stop();
  }
  session_.Stop();
  events_.Stop();
  fs_.Stop();
  fs_.SetKernelCache(nullptr);
  SPDLOG_INFO("unmounted mountpoint={} status={}", options_.mountpoint, status.ToString());
  return status;
}

void MountedClient::FlushAll() {
  Alarm alarm(options_.io_timeout * 2);
  OpContext op;
  op.interrupt = alarm.interrupt();
  writer_.FlushAll(op);
}

// The mountpoint goes first, so that nobody opens more; then what is written goes out; then files
// that are still open are given up.
void MountedClient::WaitForSignal(KernelSession* kernel) {
  const sigset_t set = StopSignals();
  const timespec poll = absl::ToTimespec(kSignalPoll);
  int signal = -1;
  while (!ended_ && signal < 0) signal = sigtimedwait(&set, nullptr, &poll);
  if (ended_) return;
  SPDLOG_INFO("stopping signal={}", signal);
  kernel->Detach();
  FlushAll();
  const absl::Time until = absl::Now() + kOpenFilesGrace;
  while (!ended_ && absl::Now() < until) absl::SleepFor(absl::Milliseconds(20));
  while (!ended_) {
    kernel->End();
    absl::SleepFor(absl::Milliseconds(100));
  }
}

// Chunk buffers come and go by megabytes: kept by malloc, they are not faulted in anew each time.
void KeepLargeBuffers() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

}  // namespace

absl::Status RunMount(const MountOptions& options, std::function<void()> on_ready) {
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  KeepLargeBuffers();
  ASSIGN_OR_RETURN(wire::Address metaserver, ParseAddress(options.metaserver));
  ASSIGN_OR_RETURN(net::ClusterKey key, net::ClusterKey::Load(options.key_file));
  MountedClient client(options, std::move(metaserver), std::move(key));
  return client.Run(on_ready);
}

}  // namespace penstock::client
