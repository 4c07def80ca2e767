// ClusterService answers chunkservers over gRPC (proto/cluster.proto): decode, call ClusterState,
// encode. Thread-safe.
#pragma once

#include "metaserver/cluster/cluster_state.h"
#include "proto/cluster.grpc.pb.h"

namespace penstock::metaserver {

class ClusterService final
    : public wire::Cluster::WithCallbackMethod_WatchMap<wire::Cluster::Service> {
 public:
  // `cluster` must outlive the service.
  explicit ClusterService(ClusterState* cluster) : cluster_(cluster) {}

  grpc::Status Register(grpc::ServerContext* context, const wire::RegisterRequest* request,
                        wire::RegisterResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext* context, const wire::HeartbeatRequest* request,
                         wire::HeartbeatResponse* response) override;
  grpc::ServerWriteReactor<wire::ClusterMap>* WatchMap(
      grpc::CallbackServerContext* context, const wire::WatchMapRequest* request) override;

 private:
  ClusterState* const cluster_;  // not owned
};

}  // namespace penstock::metaserver
