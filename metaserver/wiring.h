// Metaserver is one whole metaserver in one process: it makes the parts, ties them together, and
// starts and stops them in order. main.cc and tests use it. Not thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "common/clock.h"
#include "common/net/cluster_key.h"
#include "common/net/rpc_server.h"
#include "common/net/transport.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/directory_lock.h"
#include "metaserver/locks/file_locks.h"
#include "metaserver/locks/lock_events.h"
#include "metaserver/log/replicated_log.h"
#include "metaserver/metaserver_options.h"
#include "metaserver/namespace.h"
#include "metaserver/reclaim/reclaimer.h"
#include "metaserver/service/admin_service.h"
#include "metaserver/service/cluster_service.h"
#include "metaserver/service/control_server.h"
#include "metaserver/service/lock_service.h"
#include "metaserver/service/meta_service.h"
#include "metaserver/space_guard.h"
#include "metaserver/store/meta_store.h"

namespace penstock::metaserver {

class Metaserver {
 public:
  // Opens the directory and answers on both ports when it returns. Refuses, with the fix in the
  // message: a directory of another cluster or in use, a port in use, a key file that others may
  // read, a missing TLS file, settings out of range.
  static absl::StatusOr<std::unique_ptr<Metaserver>> Start(const MetaserverOptions& options,
                                                           Clock* clock = SystemClock());
  ~Metaserver();
  void Stop();  // finishes calls under way, syncs, closes; safe to repeat

  const std::string& cluster_id() const { return cluster_->cluster_id(); }
  uint16_t rpc_port() const { return rpc_->port(); }
  uint16_t grpc_port() const { return control_->port(); }
  ClusterState& cluster() { return *cluster_; }

 private:
  Metaserver(const MetaserverOptions& options, Clock* clock);
  absl::Status OpenState();
  absl::Status Serve(net::ClusterKey key);

  const MetaserverOptions options_;
  Clock* const clock_;  // not owned
  const std::string instance_;
  // In the order of their making; destroyed in reverse.
  std::unique_ptr<DirectoryLock> lock_;
  std::unique_ptr<net::Transport> transport_;
  std::unique_ptr<MetaStore> store_;
  std::unique_ptr<ReplicatedLog> log_;
  std::unique_ptr<SpaceGuard> space_;
  std::unique_ptr<ClusterState> cluster_;
  std::unique_ptr<Namespace> names_;
  std::unique_ptr<LockEvents> lock_events_;
  std::unique_ptr<FileLocks> file_locks_;
  std::unique_ptr<LockService> lock_service_;
  std::unique_ptr<Reclaimer> reclaimer_;
  std::unique_ptr<MetaService> meta_service_;
  std::unique_ptr<ClusterService> cluster_service_;
  std::unique_ptr<AdminService> admin_service_;
  std::unique_ptr<net::RpcServer> rpc_;
  std::unique_ptr<ControlServer> control_;
};

}  // namespace penstock::metaserver
