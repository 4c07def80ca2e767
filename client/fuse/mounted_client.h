// MountedClient is everything of one mount's client, in the order in which it is built. Threads:
// FUSE workers (libfuse), heartbeat, events, map-watcher, chunk-writers, flusher, `settler`, which
// notes what a crash would not lose any more, and `signals` (mount_signals.h).
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <memory>

#include "client/chunk_client.h"
#include "client/event_stream.h"
#include "client/file_system.h"
#include "client/fuse/handle_table.h"
#include "client/fuse/kernel_session.h"
#include "client/fuse/mount.h"
#include "client/fuse/mount_journal.h"
#include "client/map_watcher.h"
#include "client/meta_client.h"
#include "common/metrics_server.h"
#include "common/net/auto_transport.h"

namespace penstock::client {

class MountedClient {
 public:
  // `journal` must outlive the client.
  MountedClient(const MountOptions& options, wire::Address metaserver, net::ClusterKey key,
                MountJournal* journal);
  // Does not return after SIGUSR1 (kExitRestart).
  absl::Status Run(DeviceDescriptors descriptors, const std::function<void()>& on_ready);

 private:
  std::unique_ptr<RpcMetaTransport> MetaConnections(int connections) const;
  void AddTransports(wire::SessionHeartbeatRequest* report) const;
  EventStream::Handled OnEvent(SessionId session, const wire::SessionEvent& event,
                               wire::EventAck* ack);
  absl::Status ServeMetrics();
  std::vector<Metric> Metrics() const;
  absl::Status BeginSession();
  absl::Status ResumeAtMetaserver();
  void FinishTruncations();
  void KeepSession();
  void Start();
  void Stop(bool close_session);
  absl::Status Serve(KernelSession* kernel, HandleTable* handles,
                     const std::function<void()>& on_ready);
  [[noreturn]] void MakeWay(HandleTable* handles);
  void FlushAll();

  const MountOptions options_;
  const wire::Address metaserver_;
  MountJournal* const journal_;
  const uint64_t first_number_;  // of holds, handles and waits of this client
  net::RpcClientOptions rpc_;
  mutable net::AutoTransport transport_;
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
  std::vector<uint64_t> truncating_;  // inodes that a dead client was truncating
  OperationTimes times_;
  std::unique_ptr<MetricsServer> metrics_;  // nullptr: not wanted
};

}  // namespace penstock::client
