// MetaService answers every metadata method of Penstock RPC: decode, check, call, encode. Reads
// answer on the reactor; what waits for the log, and long listings, run in a worker pool.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "common/net/rpc_client.h"
#include "common/net/rpc_server.h"
#include "common/worker_pool.h"
#include "metaserver/namespace.h"
#include "metaserver/service/map_source.h"

namespace penstock::metaserver {

struct MetaServiceOptions {
  std::string cluster_id;
  std::string instance;  // of this process; changes with every start
  int workers = 16;      // mutations at once: each waits for the log
};

class MetaService {
 public:
  // The pointers must outlive the service.
  MetaService(MetaServiceOptions options, Namespace* names, MapSource* map, SpaceSource* space);
  ~MetaService();
  void Register(net::RpcServer& server);  // before server.Start()
  void Start();                           // the workers
  void StopWaiting();  // before server.Stop(): answers calls that wait for others
  void Stop();         // after server.Stop()
  size_t queued() const { return workers_.queued(); }

 private:
  absl::Status OpenSession(const wire::OpenSessionRequest& request, std::string_view peer_address,
                           wire::OpenSessionResponse& response);
  void RegisterSessions(net::RpcServer& server);
  void RegisterReads(net::RpcServer& server);
  void RegisterMutations(net::RpcServer& server);
  void RegisterSharedWrites(net::RpcServer& server);

  const MetaServiceOptions options_;
  Namespace* const names_;
  MapSource* const map_;
  SpaceSource* const space_;
  void RunTicks();

  WorkerPool workers_;
  net::Interrupt stop_;
  std::thread ticks_;  // ends what waits for sessions that do not answer
};

}  // namespace penstock::metaserver
