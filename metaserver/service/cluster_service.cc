#include "metaserver/service/cluster_service.h"

#include <spdlog/spdlog.h>

#include "common/logging.h"
#include "common/net/grpc_credentials.h"
#include "metaserver/service/map_stream.h"

namespace penstock::metaserver {

grpc::Status ClusterService::Register(grpc::ServerContext* context,
                                      const wire::RegisterRequest* request,
                                      wire::RegisterResponse* response) {
  absl::StatusOr<wire::RegisterResponse> registered = cluster_->Register(*request);
  if (!registered.ok()) {
    SPDLOG_WARN("chunkserver refused peer={} host={} error={}", context->peer(),
                Quoted(request->hostname()), Quoted(registered.status().ToString()));
    return net::ToGrpc(registered.status());
  }
  *response = *std::move(registered);
  return grpc::Status::OK;
}

grpc::Status ClusterService::Heartbeat(grpc::ServerContext*, const wire::HeartbeatRequest* request,
                                       wire::HeartbeatResponse* response) {
  *response = cluster_->Heartbeat(*request);
  return grpc::Status::OK;
}

grpc::ServerWriteReactor<wire::ClusterMap>* ClusterService::WatchMap(
    grpc::CallbackServerContext*, const wire::WatchMapRequest* request) {
  return NewMapStream(&cluster_->map(), *request);
}

}  // namespace penstock::metaserver
