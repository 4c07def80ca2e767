// AdminClient calls the metaserver's Admin service (gRPC, mutual TLS). Every call has a deadline,
// and every failure says what to look at.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>

#include "cli/find_cluster.h"
#include "proto/admin.grpc.pb.h"

namespace penstock::cli {

class AdminClient {
 public:
  static absl::StatusOr<AdminClient> Connect(const FoundCluster& cluster);
  // On a new channel: gRPC waits longer and longer between its own tries.
  absl::Status Reconnect();

  absl::StatusOr<wire::StatusResponse> Status(absl::Duration timeout = kTimeout);
  absl::StatusOr<wire::ListTargetsResponse> ListTargets();
  absl::StatusOr<wire::ListGroupsResponse> ListGroups(const wire::ListGroupsRequest& request = {});
  absl::StatusOr<wire::ListClientsResponse> ListClients();
  absl::StatusOr<wire::EvictClientResponse> EvictClient(uint64_t session);
  absl::StatusOr<wire::StatPathResponse> StatPath(const std::string& path);
  // Target 0: all.
  absl::StatusOr<wire::StartScrubResponse> StartScrub(uint32_t target, uint64_t max_rate);
  absl::StatusOr<wire::ListScrubsResponse> ListScrubs(uint32_t target);
  // `take` gets each part; its error ends the call.
  absl::Status CreateBackup(absl::FunctionRef<absl::Status(const wire::BackupPart&)> take);
  absl::StatusOr<wire::FinishRestoreResponse> FinishRestore(
      const wire::FinishRestoreRequest& request);
  absl::Status ReadFacts(absl::FunctionRef<absl::Status(const wire::Facts&)> take);
  absl::StatusOr<wire::InodeFacts> DescribeInode(uint64_t ino);
  absl::StatusOr<wire::ApplyFixesResponse> ApplyFixes(const wire::ApplyFixesRequest& request);
  absl::StatusOr<wire::ListSettingsResponse> ListSettings();
  absl::StatusOr<wire::ChangeSettingResponse> ChangeSetting(const std::string& name,
                                                            const std::string& value);
  absl::StatusOr<wire::EventList> ListEvents(const wire::ListEventsRequest& request);
  // Calls `take` for every list of events after `after` until `context` is cancelled (OK) or the
  // stream breaks.
  absl::Status FollowEvents(uint64_t after, grpc::ClientContext* context,
                            const std::function<void(const wire::EventList&)>& take);
  absl::StatusOr<wire::DrainTargetResponse> DrainTarget(const wire::DrainTargetRequest& request);
  absl::StatusOr<wire::UndrainTargetResponse> UndrainTarget(uint32_t target);
  // ABORTED: to be tried again in a moment.
  absl::StatusOr<wire::RemoveTargetResponse> RemoveTarget(const wire::RemoveTargetRequest& request);
  absl::StatusOr<wire::StartRebalanceResponse> StartRebalance(
      const wire::StartRebalanceRequest& request);
  absl::StatusOr<wire::StopRebalanceResponse> StopRebalance();

 private:
  static constexpr absl::Duration kTimeout = absl::Seconds(10);
  static constexpr absl::Duration kStreamTimeout = absl::Hours(72);  // all metadata is read

  AdminClient(FoundCluster cluster, std::unique_ptr<wire::Admin::Stub> stub)
      : cluster_(std::move(cluster)), stub_(std::move(stub)) {}
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (wire::Admin::Stub::*method)(grpc::ClientContext*,
                                                                          const Request&,
                                                                          Response*),
                                const Request& request, absl::Duration timeout);
  template <typename Request, typename Part>
  absl::Status ReadAll(std::unique_ptr<grpc::ClientReader<Part>> (wire::Admin::Stub::*method)(
                           grpc::ClientContext*, const Request&),
                       absl::FunctionRef<absl::Status(const Part&)> take);
  absl::Status Explain(const grpc::Status& status, absl::Duration timeout) const;

  FoundCluster cluster_;
  std::unique_ptr<wire::Admin::Stub> stub_;
};

}  // namespace penstock::cli
