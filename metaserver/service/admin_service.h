// AdminService answers the admin verbs of `penstock` over gRPC (proto/admin.proto): decode, call
// the part that knows, encode. Thread-safe.
#pragma once

#include <atomic>
#include <string>

#include "common/clock.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/events/event_log.h"
#include "metaserver/locks/file_locks.h"
#include "metaserver/namespace.h"
#include "metaserver/space_guard.h"
#include "proto/admin.grpc.pb.h"

namespace penstock::metaserver {

class AdminService final
    : public wire::Admin::WithCallbackMethod_FollowEvents<wire::Admin::Service> {
 public:
  // All must outlive the service.
  struct Sources {
    ClusterState* cluster = nullptr;
    Namespace* names = nullptr;
    FileLocks* locks = nullptr;
    SpaceGuard* space = nullptr;
    EventLog* events = nullptr;
    Clock* clock = nullptr;
    std::string address;  // of Penstock RPC, "host:port", for people
  };
  explicit AdminService(Sources sources);

  // A line each, the worst first: what `penstock status` shows of this view.
  std::vector<std::string> Problems(const ClusterView& view) const {
    return Problems(view, Clients());
  }

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
  grpc::Status StartScrub(grpc::ServerContext* context, const wire::StartScrubRequest* request,
                          wire::StartScrubResponse* response) override;
  grpc::Status ListScrubs(grpc::ServerContext* context, const wire::ListScrubsRequest* request,
                          wire::ListScrubsResponse* response) override;
  // One at a time: each keeps what is overwritten meanwhile on the disk.
  grpc::Status CreateBackup(grpc::ServerContext* context, const wire::CreateBackupRequest* request,
                            grpc::ServerWriter<wire::BackupPart>* writer) override;
  grpc::Status FinishRestore(grpc::ServerContext* context,
                             const wire::FinishRestoreRequest* request,
                             wire::FinishRestoreResponse* response) override;
  grpc::Status ReadFacts(grpc::ServerContext* context, const wire::ReadFactsRequest* request,
                         grpc::ServerWriter<wire::Facts>* writer) override;
  grpc::Status DescribeInodes(grpc::ServerContext* context,
                              const wire::DescribeInodesRequest* request,
                              wire::DescribeInodesResponse* response) override;
  grpc::Status ApplyFixes(grpc::ServerContext* context, const wire::ApplyFixesRequest* request,
                          wire::ApplyFixesResponse* response) override;
  grpc::Status ListSettings(grpc::ServerContext* context, const wire::ListSettingsRequest* request,
                            wire::ListSettingsResponse* response) override;
  grpc::Status ChangeSetting(grpc::ServerContext* context,
                             const wire::ChangeSettingRequest* request,
                             wire::ChangeSettingResponse* response) override;
  grpc::Status ListEvents(grpc::ServerContext* context, const wire::ListEventsRequest* request,
                          wire::EventList* response) override;
  grpc::ServerWriteReactor<wire::EventList>* FollowEvents(
      grpc::CallbackServerContext* context, const wire::FollowEventsRequest* request) override;
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
  std::vector<std::string> Problems(const ClusterView& view,
                                    const std::vector<wire::ClientInfo>& clients) const;

  const Sources sources_;
  const absl::Duration started_;
  std::atomic<bool> backup_runs_{false};
};

}  // namespace penstock::metaserver
