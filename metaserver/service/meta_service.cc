#include "metaserver/service/meta_service.h"

#include <poll.h>
#include <pthread.h>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/read_operations.h"

namespace penstock::metaserver {
namespace {

constexpr int kTickMs = 100;

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

template <typename Request>
SharedWrites::Who AskerOf(const Request& request) {
  return {SessionId(request.context().session_id()), request.context().client()};
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

// A read of one record. What another session has written to the file and keeps back is asked for
// first.
template <typename Request>
void AnswerRecord(Namespace* names,
                  absl::Status (*operation)(const ReadView&, const Request&, wire::EntryResponse&),
                  Call<Request, wire::EntryResponse> call) {
  auto result = names->Read(operation, call->request());
  const SessionId session(call->request().context().session_id());
  const bool written = result.ok() && result->entry().other_writers();
  const InodeNumber ino(written ? result->entry().attr().ino() : 0);
  // Nothing is kept back from a session that has the file open: the writers know that it is shared.
  if (!written || names->sessions().UseOf(ino, session).opened) {
    return Answer(std::move(call), std::move(result));
  }
  names->FlushWriters(ino, session, [names, operation, call = std::move(call)]() mutable {
    auto again = names->Read(operation, call->request());
    Answer(std::move(call), std::move(again));
  });
}

// Runs a mutation in a worker, and again in one when a recall was answered.
template <typename Request, typename Response>
void RunMutation(Namespace* names, WorkerPool* workers,
                 absl::Status (*operation)(Mutation&, const Request&, Response&),
                 Call<Request, Response> incoming) {
  auto call = std::make_shared<Call<Request, Response>>(std::move(incoming));
  auto resume = [workers](absl::AnyInvocable<void() &&> work) {
    // The queue has no place: better this thread than a change that stands half-way.
    auto shared = std::make_shared<absl::AnyInvocable<void() &&>>(std::move(work));
    if (!workers->Post([shared] { std::move (*shared)(); })) std::move (*shared)();
  };
  names->MutateAsync(operation, (*call)->request(), (*call)->response(), resume,
                     [call](absl::Status status) { (*call)->Finish(status); });
}

template <typename Request, typename Response>
void HandleMutation(net::RpcServer& server, wire::Method method, Namespace* names,
                    WorkerPool* workers,
                    absl::Status (*operation)(Mutation&, const Request&, Response&)) {
  server.Handle<Request, Response>(
      method, [names, workers, operation](Call<Request, Response> incoming) {
        InWorker(*workers, std::move(incoming),
                 [names, workers, operation](Call<Request, Response> call) {
                   RunMutation(names, workers, operation, std::move(call));
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

void MetaService::Start() {
  workers_.Start();
  ticks_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "meta-ticks");
    RunTicks();
  });
}

void MetaService::StopWaiting() {
  names_->StopWaiting();
  stop_.Fire();
  if (ticks_.joinable()) ticks_.join();
}

void MetaService::Stop() {
  StopWaiting();
  workers_.Stop();
}

void MetaService::RunTicks() {
  pollfd fired{stop_.fd(), POLLIN, 0};
  while (poll(&fired, 1, kTickMs) <= 0) names_->Tick();
}

void MetaService::Register(net::RpcServer& server) {
  RegisterSessions(server);
  RegisterReads(server);
  RegisterMutations(server);
  RegisterSharedWrites(server);
}

void MetaService::RegisterReads(net::RpcServer& server) {
  using LookupCall = Call<wire::LookupRequest, wire::EntryResponse>;
  server.Handle<wire::LookupRequest, wire::EntryResponse>(
      wire::METHOD_LOOKUP,
      [this](LookupCall call) { AnswerRecord(names_, Lookup, std::move(call)); });
  using GetattrCall = Call<wire::GetattrRequest, wire::EntryResponse>;
  server.Handle<wire::GetattrRequest, wire::EntryResponse>(
      wire::METHOD_GETATTR, [this](GetattrCall call) {
        const InodeNumber ino(call->request().ino());
        const SessionId session(call->request().context().session_id());
        names_->AfterDataChanges(ino, session, [this, call = std::move(call)]() mutable {
          AnswerRecord(names_, Getattr, std::move(call));
        });
      });
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

void MetaService::RegisterSharedWrites(net::RpcServer& server) {
  using BeginCall = Call<wire::BeginSharedWriteRequest, wire::EntryResponse>;
  server.Handle<wire::BeginSharedWriteRequest, wire::EntryResponse>(
      wire::METHOD_BEGIN_SHARED_WRITE, [this](BeginCall call) {
        const SharedWrites::Who who = AskerOf(call->request());
        const InodeNumber ino(call->request().ino());
        absl::Status status = names_->sessions().Check(call->request().context());
        if (!status.ok()) return call->Finish(status);
        names_->shared_writes().Begin(who, ino, [this, who, ino, call = std::move(call)]() mutable {
          // Once more: it may have been over before it came to wait, and has its turn all the same.
          absl::Status still = names_->sessions().Check(call->request().context());
          if (!still.ok()) {
            names_->shared_writes().End(who, ino);
            return call->Finish(still);
          }
          InWorker(workers_, std::move(call), [this](BeginCall granted) {
            RunMutation(names_, &workers_, BeginSharedWrite, std::move(granted));
          });
        });
      });
  using EndCall = Call<wire::EndSharedWriteRequest, wire::EmptyResponse>;
  server.Handle<wire::EndSharedWriteRequest, wire::EmptyResponse>(
      wire::METHOD_END_SHARED_WRITE, [this](EndCall call) {
        names_->shared_writes().End(AskerOf(call->request()), InodeNumber(call->request().ino()));
        call->Finish(absl::OkStatus());
      });
}

void MetaService::RegisterSessions(net::RpcServer& server) {
  using EventsCall = Call<wire::SessionEventsRequest, wire::SessionEventsResponse>;
  server.Handle<wire::SessionEventsRequest, wire::SessionEventsResponse>(
      wire::METHOD_SESSION_EVENTS, [this](EventsCall incoming) {
        auto call = std::make_shared<EventsCall>(std::move(incoming));
        names_->PollEvents((*call)->request(),
                           [call](absl::StatusOr<wire::SessionEventsResponse> events) {
                             if (events.ok()) (*call)->response() = *std::move(events);
                             (*call)->Finish(events.status());
                           });
      });
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
        const absl::Status status = names_->Heartbeat(call->request(), call->response());
        call->response().set_server_instance(options_.instance);
        call->response().set_map_version(map_->version());
        call->Finish(status);
      });
  using ResumeCall = Call<wire::ResumeSessionRequest, wire::ResumeSessionResponse>;
  server.Handle<wire::ResumeSessionRequest, wire::ResumeSessionResponse>(
      wire::METHOD_RESUME_SESSION, [this](ResumeCall incoming) {
        InWorker(workers_, std::move(incoming), [this](ResumeCall call) {
          call->Finish(names_->ResumeSession(call->request(), call->response()));
        });
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
  names_->EnterSession(id);
  response.set_session_id(id.value());
  response.set_lease_generation(names_->leases().generation(id));
  response.set_session_timeout_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(times.timeout)));
  response.set_heartbeat_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(times.heartbeat)));
  response.set_cluster_id(options_.cluster_id);
  response.set_server_instance(options_.instance);
  response.set_server_version(PENSTOCK_VERSION);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
