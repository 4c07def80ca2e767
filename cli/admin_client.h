// AdminClient calls the metaserver's Admin service (gRPC, mutual TLS). Every call has a deadline,
// and every failure says what to look at.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <string>

#include "cli/find_cluster.h"
#include "proto/admin.grpc.pb.h"

namespace penstock::cli {

class AdminClient {
 public:
  static absl::StatusOr<AdminClient> Connect(const FoundCluster& cluster);

  absl::StatusOr<wire::StatusResponse> Status(absl::Duration timeout = kTimeout);
  absl::StatusOr<wire::ListTargetsResponse> ListTargets();
  absl::StatusOr<wire::ListGroupsResponse> ListGroups();
  absl::StatusOr<wire::ListClientsResponse> ListClients();
  absl::StatusOr<wire::EvictClientResponse> EvictClient(uint64_t session);
  absl::StatusOr<wire::StatPathResponse> StatPath(const std::string& path);
  absl::StatusOr<wire::DrainTargetResponse> DrainTarget(const wire::DrainTargetRequest& request);
  absl::StatusOr<wire::UndrainTargetResponse> UndrainTarget(uint32_t target);
  // ABORTED: to be tried again in a moment.
  absl::StatusOr<wire::RemoveTargetResponse> RemoveTarget(const wire::RemoveTargetRequest& request);
  absl::StatusOr<wire::StartRebalanceResponse> StartRebalance(
      const wire::StartRebalanceRequest& request);
  absl::StatusOr<wire::StopRebalanceResponse> StopRebalance();

 private:
  static constexpr absl::Duration kTimeout = absl::Seconds(10);

  AdminClient(FoundCluster cluster, std::unique_ptr<wire::Admin::Stub> stub)
      : cluster_(std::move(cluster)), stub_(std::move(stub)) {}
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (wire::Admin::Stub::*method)(grpc::ClientContext*,
                                                                          const Request&,
                                                                          Response*),
                                const Request& request, absl::Duration timeout);
  absl::Status Explain(const grpc::Status& status, absl::Duration timeout) const;

  FoundCluster cluster_;
  std::unique_ptr<wire::Admin::Stub> stub_;
};

}  // namespace penstock::cli
