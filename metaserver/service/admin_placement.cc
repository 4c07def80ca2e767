// The verbs of AdminService that move data or end it.
#include "common/net/grpc_credentials.h"
#include "metaserver/service/admin_service.h"

namespace penstock::metaserver {
namespace {

template <typename T>
grpc::Status Answer(absl::StatusOr<T> result, T* into) {
  if (!result.ok()) return net::ToGrpc(result.status());
  *into = *std::move(result);
  return grpc::Status::OK;
}

}  // namespace

grpc::Status AdminService::DrainTarget(grpc::ServerContext*,
                                       const wire::DrainTargetRequest* request,
                                       wire::DrainTargetResponse* response) {
  return Answer(sources_.cluster->DrainTarget(*request), response);
}

grpc::Status AdminService::UndrainTarget(grpc::ServerContext*,
                                         const wire::UndrainTargetRequest* request,
                                         wire::UndrainTargetResponse* response) {
  return Answer(sources_.cluster->UndrainTarget(TargetId(request->target_id())),
                response->mutable_target());
}

grpc::Status AdminService::RemoveTarget(grpc::ServerContext*,
                                        const wire::RemoveTargetRequest* request,
                                        wire::RemoveTargetResponse* response) {
  return Answer(sources_.cluster->RemoveTarget(TargetId(request->target_id()), request->dry_run()),
                response);
}

grpc::Status AdminService::StartRebalance(grpc::ServerContext*,
                                          const wire::StartRebalanceRequest* request,
                                          wire::StartRebalanceResponse* response) {
  return Answer(sources_.cluster->StartRebalance(*request), response);
}

grpc::Status AdminService::StopRebalance(grpc::ServerContext*, const wire::StopRebalanceRequest*,
                                         wire::StopRebalanceResponse* response) {
  return Answer(sources_.cluster->StopRebalance(), response->mutable_rebalance());
}

}  // namespace penstock::metaserver
