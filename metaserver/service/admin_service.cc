#include "metaserver/service/admin_service.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/net/grpc_credentials.h"
#include "metaserver/service/client_problems.h"
#include "metaserver/service/event_stream.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/list_count.h"

namespace penstock::metaserver {
namespace {

constexpr uint64_t kCountAtMost = 100000;  // of background work: beyond it nobody needs the number

template <typename From, typename To>
void Copy(const From& from, To* to) {
  for (const auto& value : from) *to->Add() = value;
}

uint64_t Milliseconds(absl::Duration duration) {
  return static_cast<uint64_t>(std::max<int64_t>(0, absl::ToInt64Milliseconds(duration)));
}

}  // namespace

AdminService::AdminService(Sources sources)
    : sources_(std::move(sources)), started_(sources_.clock->SinceBoot()) {}

std::vector<wire::ClientInfo> AdminService::Clients() const {
  std::vector<wire::ClientInfo> clients;
  for (const SessionInfo& session : sources_.names->sessions().List()) {
    wire::ClientInfo& client = clients.emplace_back();
    client.set_session_id(session.record.id.value());
    client.set_hostname(session.record.hostname);
    client.set_mountpoint(session.record.mountpoint);
    client.set_pid(session.record.pid);
    client.set_version(session.record.version);
    client.set_address(session.record.address);
    client.set_last_heartbeat_ms(Milliseconds(session.since_heartbeat));
    client.set_connected_s(Milliseconds(session.connected) / 1000);
    client.set_open_files(session.open_files);
    client.set_open_files_write(session.open_files_write);
    client.set_leases(sources_.names->leases().leases(session.record.id));
    client.set_events_unanswered(sources_.names->events().unanswered(session.record.id));
    client.set_stale(session.since_heartbeat >= sources_.names->sessions().options().timeout);
    const LockCounts locks = sources_.locks->CountsOf(session.record.id);
    client.set_locks(locks.locks);
    client.set_locks_waiting(locks.waiting);
    Copy(session.transports, client.mutable_transports());
  }
  return clients;
}

std::vector<std::string> AdminService::Problems(
    const ClusterView& view, const std::vector<wire::ClientInfo>& clients) const {
  std::vector<std::string> problems;
  if (std::string full = sources_.space->Problem(); !full.empty()) {
    problems.push_back(std::move(full));
  }
  problems.insert(problems.end(), view.problems.begin(), view.problems.end());
  for (std::string& problem : ClientProblems(clients, view.servers)) {
    problems.push_back(std::move(problem));
  }
  return problems;
}

grpc::Status AdminService::Status(grpc::ServerContext*, const wire::StatusRequest*,
                                  wire::StatusResponse* response) {
  const ClusterView view = sources_.cluster->View();
  const std::vector<wire::ClientInfo> clients = Clients();
  response->set_read_only(!sources_.space->Problem().empty());
  response->set_cluster_id(sources_.cluster->cluster_id());
  response->set_metaserver_version(PENSTOCK_VERSION);
  response->set_metaserver_address(sources_.address);
  response->set_uptime_s(Milliseconds(sources_.clock->SinceBoot() - started_) / 1000);
  response->set_map_version(view.map_version);
  response->set_now_us(absl::ToUnixMicros(sources_.clock->Now()));
  response->set_log_index(sources_.names->log().last_index());
  Copy(view.servers, response->mutable_servers());
  Copy(view.targets, response->mutable_targets());
  Copy(view.groups_by_state, response->mutable_groups());
  Copy(clients, response->mutable_clients());
  Copy(view.classes, response->mutable_classes());
  *response->mutable_repair() = view.repair;
  response->set_restored(view.restored);
  *response->mutable_rebalance() = view.rebalance;
  Copy(Problems(view, clients), response->mutable_problems());
  response->set_capacity_bytes(view.capacity_bytes);
  response->set_free_bytes(view.free_bytes);
  auto counters = sources_.names->Counters(kRootDataset);
  if (!counters.ok()) return net::ToGrpc(counters.status());
  response->set_inodes(static_cast<uint64_t>(std::max<int64_t>(0, counters->inodes)));
  const MetaStore& store = sources_.names->store();
  response->set_orphans(CountList(store, Family::kOrphan, kOrphanList, kCountAtMost));
  response->set_contents_to_delete(
      CountList(store, Family::kOrphan, kDeadContentList, kCountAtMost));
  return grpc::Status::OK;
}

grpc::Status AdminService::ListTargets(grpc::ServerContext*, const wire::ListTargetsRequest*,
                                       wire::ListTargetsResponse* response) {
  Copy(sources_.cluster->View().targets, response->mutable_targets());
  return grpc::Status::OK;
}

grpc::Status AdminService::ListGroups(grpc::ServerContext*, const wire::ListGroupsRequest* request,
                                      wire::ListGroupsResponse* response) {
  const ClusterView view = sources_.cluster->View();
  if (!request->one()) {
    Copy(view.groups, response->mutable_groups());
    return grpc::Status::OK;
  }
  for (const wire::GroupInfo& info : view.groups) {
    if (info.group().storage_class() != request->storage_class() ||
        info.group().number() != request->number()) {
      continue;
    }
    *response->add_groups() = info;
    return grpc::Status::OK;
  }
  return net::ToGrpc(
      absl::NotFoundError(absl::StrCat("there is no group ", request->storage_class(), "/",
                                       request->number(), "; `penstock group ls` lists them")));
}

grpc::Status AdminService::ListClients(grpc::ServerContext*, const wire::ListClientsRequest*,
                                       wire::ListClientsResponse* response) {
  Copy(Clients(), response->mutable_clients());
  return grpc::Status::OK;
}

grpc::Status AdminService::EvictClient(grpc::ServerContext*,
                                       const wire::EvictClientRequest* request,
                                       wire::EvictClientResponse* response) {
  const std::vector<wire::ClientInfo> clients = Clients();
  auto client = std::find_if(clients.begin(), clients.end(), [&](const auto& info) {
    return info.session_id() == request->session_id();
  });
  if (client == clients.end()) {
    return net::ToGrpc(absl::NotFoundError(absl::StrCat(
        "no client has the session ", request->session_id(), "; see `penstock client ls`")));
  }
  *response->mutable_client() = *client;
  return net::ToGrpc(sources_.names->sessions().Evict(SessionId(request->session_id())));
}

grpc::Status AdminService::StatPath(grpc::ServerContext*, const wire::StatPathRequest* request,
                                    wire::StatPathResponse* response) {
  absl::StatusOr<wire::Entry> entry = sources_.names->ResolvePath(request->path());
  if (!entry.ok()) return net::ToGrpc(entry.status());
  *response->mutable_entry() = *std::move(entry);
  *response->mutable_map() = sources_.cluster->map().MapSince(0);
  return grpc::Status::OK;
}

grpc::Status AdminService::ListSettings(grpc::ServerContext*, const wire::ListSettingsRequest*,
                                        wire::ListSettingsResponse* response) {
  Copy(sources_.cluster->settings().List(), response->mutable_settings());
  return grpc::Status::OK;
}

grpc::Status AdminService::ChangeSetting(grpc::ServerContext*,
                                         const wire::ChangeSettingRequest* request,
                                         wire::ChangeSettingResponse* response) {
  auto changed = sources_.cluster->ChangeSetting(request->name(), request->value());
  if (!changed.ok()) return net::ToGrpc(changed.status());
  *response = *std::move(changed);
  sources_.names->leases().SetContestedWindow(
      sources_.cluster->settings().Current().leases_contested);
  return grpc::Status::OK;
}

grpc::Status AdminService::ListEvents(grpc::ServerContext*, const wire::ListEventsRequest* request,
                                      wire::EventList* response) {
  EventLog::Query query{.after = request->after()};
  if (request->since_us() != 0) query.since = absl::FromUnixMicros(request->since_us());
  if (request->limit() != 0) query.limit = request->limit();
  absl::StatusOr<wire::EventList> list = sources_.events->List(query);
  if (!list.ok()) return net::ToGrpc(list.status());
  *response = *std::move(list);
  return grpc::Status::OK;
}

grpc::ServerWriteReactor<wire::EventList>* AdminService::FollowEvents(
    grpc::CallbackServerContext*, const wire::FollowEventsRequest* request) {
  return NewEventStream(sources_.events, *request);
}

grpc::Status AdminService::StartScrub(grpc::ServerContext*, const wire::StartScrubRequest* request,
                                      wire::StartScrubResponse* response) {
  absl::StatusOr<wire::StartScrubResponse> started = sources_.cluster->StartScrub(*request);
  if (!started.ok()) return net::ToGrpc(started.status());
  *response = *std::move(started);
  return grpc::Status::OK;
}

grpc::Status AdminService::ListScrubs(grpc::ServerContext*, const wire::ListScrubsRequest* request,
                                      wire::ListScrubsResponse* response) {
  absl::StatusOr<wire::ListScrubsResponse> scrubs = sources_.cluster->ListScrubs(*request);
  if (!scrubs.ok()) return net::ToGrpc(scrubs.status());
  *response = *std::move(scrubs);
  return grpc::Status::OK;
}

}  // namespace penstock::metaserver
