// AdminService answers the admin verbs of `penstock` over gRPC (proto/admin.proto); what they
// change is decided by ClusterState and the sessions. Thread-safe.
#pragma once

#include <string>

#include "common/clock.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/locks/file_locks.h"
#include "metaserver/namespace.h"
#include "proto/admin.grpc.pb.h"

namespace penstock::metaserver {

class AdminService final : public wire::Admin::Service {
 public:
  // All must outlive the service.
  struct Sources {
    ClusterState* cluster = nullptr;
    Namespace* names = nullptr;
    FileLocks* locks = nullptr;
    Clock* clock = nullptr;
    std::string address;  // of Penstock RPC, "host:port", for people
  };
  explicit AdminService(Sources sources);

  grpc::Status Status(grpc::ServerContext* context, const wire::StatusRequest* request,
                      wire::StatusResponse* response) override;
  grpc::Status ListTargets(grpc::ServerContext* context, const wire::ListTargetsRequest* request,
                           wire::ListTargetsResponse* response) override;
  grpc::Status ListGroups(grpc::ServerContext* context, const wire::ListGroupsRequest* request,
                          wire::ListGroupsResponse* response) override;
  grpc::Status ListClients(grpc::ServerContext* context, const wire::ListClientsRequest* request,
                           wire::ListClientsResponse* response) override;
  grpc::Status EvictClient(grpc::ServerContext* context, const wire::EvictClientRequest* request,
                           wire::EvictClientResponse* response) override;
  grpc::Status StatPath(grpc::ServerContext* context, const wire::StatPathRequest* request,
                        wire::StatPathResponse* response) override;
  grpc::Status DrainTarget(grpc::ServerContext* context, const wire::DrainTargetRequest* request,
                           wire::DrainTargetResponse* response) override;
  grpc::Status UndrainTarget(grpc::ServerContext* context,
                             const wire::UndrainTargetRequest* request,
                             wire::UndrainTargetResponse* response) override;
  grpc::Status RemoveTarget(grpc::ServerContext* context, const wire::RemoveTargetRequest* request,
                            wire::RemoveTargetResponse* response) override;
  grpc::Status StartRebalance(grpc::ServerContext* context,
                              const wire::StartRebalanceRequest* request,
                              wire::StartRebalanceResponse* response) override;
  grpc::Status StopRebalance(grpc::ServerContext* context,
                             const wire::StopRebalanceRequest* request,
                             wire::StopRebalanceResponse* response) override;

 private:
  std::vector<wire::ClientInfo> Clients() const;

  const Sources sources_;
  const absl::Duration started_;
};

}  // namespace penstock::metaserver
