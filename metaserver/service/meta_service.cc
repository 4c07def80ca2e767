#include "metaserver/service/meta_service.h"

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/read_operations.h"

namespace penstock::metaserver {
namespace {

template <typename Request, typename Response>
using Call = std::unique_ptr<net::ServerCall<Request, Response>>;

template <typename Request, typename Response>
void Answer(Call<Request, Response> call, absl::StatusOr<Response> result) {
  if (result.ok()) call->response() = *std::move(result);
  call->Finish(result.status());
}

// Runs `work` with the call in a worker. A call that does not fit is destroyed with the closure,
// so a full pool is noticed first.
template <typename CallPtr, typename Work>
void InWorker(WorkerPool& workers, CallPtr call, Work work) {
  auto shared = std::make_shared<CallPtr>(std::move(call));
  if (!workers.Post([shared, work] { work(std::move(*shared)); })) {
    (*shared)->Finish(absl::UnavailableError("the metaserver is overloaded or stopping"));
  }
}

// A read that answers on the reactor.
template <typename Request, typename Response>
void HandleRead(net::RpcServer& server, wire::Method method, Namespace* names,
                absl::Status (*operation)(const ReadView&, const Request&, Response&)) {
  server.Handle<Request, Response>(method, [names, operation](Call<Request, Response> call) {
    auto result = names->Read(operation, call->request());
    Answer(std::move(call), std::move(result));
  });
}

template <typename Request, typename Response>
void HandleMutation(net::RpcServer& server, wire::Method method, Namespace* names,
                    WorkerPool* workers,
                    absl::Status (*operation)(Mutation&, const Request&, Response&)) {
  server.Handle<Request, Response>(
      method, [names, workers, operation](Call<Request, Response> incoming) {
        InWorker(*workers, std::move(incoming), [names, operation](Call<Request, Response> call) {
          auto result = names->Mutate(operation, call->request());
          Answer(std::move(call), std::move(result));
        });
      });
}

}  // namespace

MetaService::MetaService(MetaServiceOptions options, Namespace* names, MapSource* map,
                         SpaceSource* space)
    : options_(std::move(options)),
      names_(names),
      map_(map),
      space_(space),
      workers_({.name = "meta-work", .threads = options_.workers}) {}

MetaService::~MetaService() { Stop(); }

void MetaService::Start() { workers_.Start(); }
void MetaService::Stop() { workers_.Stop(); }

void MetaService::Register(net::RpcServer& server) {
  RegisterSessions(server);
  RegisterReads(server);
  RegisterMutations(server);
}

void MetaService::RegisterReads(net::RpcServer& server) {
  HandleRead(server, wire::METHOD_LOOKUP, names_, Lookup);
  HandleRead(server, wire::METHOD_GETATTR, names_, Getattr);
  HandleRead(server, wire::METHOD_READLINK, names_, Readlink);
  HandleRead(server, wire::METHOD_GETXATTR, names_, Getxattr);
  HandleRead(server, wire::METHOD_LISTXATTR, names_, Listxattr);
  using ReaddirCall = Call<wire::ReaddirRequest, wire::ReaddirResponse>;
  server.Handle<wire::ReaddirRequest, wire::ReaddirResponse>(
      wire::METHOD_READDIR, [this](ReaddirCall incoming) {
        InWorker(workers_, std::move(incoming), [this](ReaddirCall call) {
          auto result = names_->Read(Readdir, call->request());
          Answer(std::move(call), std::move(result));
        });
      });
  server.Handle<wire::StatfsRequest, wire::StatfsResponse>(
      wire::METHOD_STATFS, [this](Call<wire::StatfsRequest, wire::StatfsResponse> call) {
        auto result = names_->Read(Statfs, call->request());
        if (result.ok()) {
          const ClusterSpace space = space_->Space();
          result->set_total_bytes(space.total_bytes);
          result->set_free_bytes(space.free_bytes);
          result->set_available_bytes(space.available_bytes);
        }
        Answer(std::move(call), std::move(result));
      });
}

void MetaService::RegisterMutations(net::RpcServer& server) {
  const auto add = [&](wire::Method method, auto operation) {
    HandleMutation(server, method, names_, &workers_, operation);
  };
  add(wire::METHOD_SETATTR, Setattr);
  add(wire::METHOD_CREATE, Create);
  add(wire::METHOD_MKDIR, Mkdir);
  add(wire::METHOD_MKNOD, Mknod);
  add(wire::METHOD_SYMLINK, Symlink);
  add(wire::METHOD_LINK, Link);
  add(wire::METHOD_UNLINK, Unlink);
  add(wire::METHOD_RMDIR, Rmdir);
  add(wire::METHOD_RENAME, Rename);
  add(wire::METHOD_OPEN, Open);
  add(wire::METHOD_SETXATTR, Setxattr);
  add(wire::METHOD_REMOVEXATTR, Removexattr);
  add(wire::METHOD_PUBLISH, Publish);
  add(wire::METHOD_TRUNCATE_DONE, TruncateDone);
  using SyncCall = Call<wire::SyncMetadataRequest, wire::SyncMetadataResponse>;
  server.Handle<wire::SyncMetadataRequest, wire::SyncMetadataResponse>(
      wire::METHOD_SYNC_METADATA, [this](SyncCall incoming) {
        InWorker(workers_, std::move(incoming), [this](SyncCall call) {
          call->response().set_log_index(names_->log().last_index());
          call->Finish(names_->log().Sync());
        });
      });
}

void MetaService::RegisterSessions(net::RpcServer& server) {
  using OpenCall = Call<wire::OpenSessionRequest, wire::OpenSessionResponse>;
  server.Handle<wire::OpenSessionRequest, wire::OpenSessionResponse>(
      wire::METHOD_OPEN_SESSION, [this](OpenCall incoming) {
        InWorker(workers_, std::move(incoming), [this](OpenCall call) {
          const absl::Status status =
              OpenSession(call->request(), call->context().peer_address(), call->response());
          call->Finish(status);
        });
      });
  server.Handle<wire::SessionHeartbeatRequest, wire::SessionHeartbeatResponse>(
      wire::METHOD_SESSION_HEARTBEAT,
      [this](Call<wire::SessionHeartbeatRequest, wire::SessionHeartbeatResponse> call) {
        const absl::Status status = names_->sessions().Heartbeat(call->request());
        call->response().set_server_instance(options_.instance);
        call->response().set_map_version(map_->version());
        call->response().set_log_index(names_->log().last_index());
        call->Finish(status);
      });
  using CloseCall = Call<wire::CloseSessionRequest, wire::CloseSessionResponse>;
  server.Handle<wire::CloseSessionRequest, wire::CloseSessionResponse>(
      wire::METHOD_CLOSE_SESSION, [this](CloseCall incoming) {
        InWorker(workers_, std::move(incoming), [this](CloseCall call) {
          call->Finish(names_->sessions().CloseSession(SessionId(call->request().session_id())));
        });
      });
  using MapCall = Call<wire::GetClusterMapRequest, wire::GetClusterMapResponse>;
  server.Handle<wire::GetClusterMapRequest, wire::GetClusterMapResponse>(
      wire::METHOD_GET_CLUSTER_MAP, [this](MapCall call) {
        const uint64_t known = call->request().known_version();
        const absl::Duration wait = absl::Milliseconds(call->request().wait_ms());
        map_->GetMap(known, wait, [call = std::move(call)](wire::ClusterMap map) mutable {
          *call->response().mutable_map() = std::move(map);
          call->Finish(absl::OkStatus());
        });
      });
}

absl::Status MetaService::OpenSession(const wire::OpenSessionRequest& request,
                                      std::string_view peer_address,
                                      wire::OpenSessionResponse& response) {
  // The directory first: a mount of nothing leaves no session behind.
  ASSIGN_OR_RETURN(*response.mutable_root(), names_->ResolvePath(request.subdir()));
  if (!S_ISDIR(response.root().attr().mode())) {
    return PosixError(ENOTDIR, "the path to mount is no directory");
  }
  ASSIGN_OR_RETURN(const SessionId id, names_->sessions().OpenSession(request, peer_address));
  const SessionTableOptions& times = names_->sessions().options();
  response.set_session_id(id.value());
  response.set_session_timeout_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(times.timeout)));
  response.set_heartbeat_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(times.heartbeat)));
  response.set_cluster_id(options_.cluster_id);
  response.set_server_instance(options_.instance);
  response.set_server_version(PENSTOCK_VERSION);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
