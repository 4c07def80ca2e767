#include "cli/admin_client.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <chrono>

#include "cli/human.h"
#include "cli/paths.h"
#include "common/net/grpc_credentials.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

// gRPC's "failed to connect to all addresses; last error: UNKNOWN: ipv4:1.2.3.4:5: Why": only why.
std::string ShortReason(absl::string_view message) {
  constexpr absl::string_view kBefore = "last error: ";
  if (const size_t at = message.find(kBefore); at != absl::string_view::npos) {
    message.remove_prefix(at + kBefore.size());
    absl::ConsumePrefix(&message, "UNKNOWN: ");
  }
  return std::string(message);
}

}  // namespace

absl::StatusOr<AdminClient> AdminClient::Connect(const FoundCluster& cluster) {
  const std::string& dir = cluster.keys_directory;
  auto channel = net::MakeChannel(cluster.grpc().ToString(),
                                  {dir + "/ca.crt", dir + "/admin.crt", dir + "/admin.key"});
  if (!channel.ok()) {
    return Annotate(channel.status(), absl::StrCat("the administrator's keys in ", dir));
  }
  return AdminClient(cluster, wire::Admin::NewStub(*channel));
}

absl::Status AdminClient::Reconnect() {
  stub_.reset();  // with what its channel remembers of failures
  ASSIGN_OR_RETURN(AdminClient fresh, Connect(cluster_));
  stub_ = std::move(fresh.stub_);
  return absl::OkStatus();
}

absl::Status AdminClient::Explain(const grpc::Status& status, absl::Duration timeout) const {
  const absl::Status error = net::FromGrpc(status);
  const std::string where = cluster_.grpc().ToString();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    const std::string hint =
        cluster_.directory.empty()
            ? absl::StrCat("is that its control (gRPC) port, is it running, and are the keys in ",
                           cluster_.keys_directory, " of this cluster?")
            : absl::StrCat("`penstock up ", ShellWord(cluster_.directory),
                           "` starts what is missing; its log "
                           "is ",
                           cluster_.directory, "/logs/metaserver.log");
    return absl::UnavailableError(absl::StrCat("the metaserver does not answer at ", where, " (",
                                               ShortReason(error.message()), "); ", hint));
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::DeadlineExceededError(
        absl::StrCat("the metaserver at ", where, " did not answer within ", HumanDuration(timeout),
                     "; is it overloaded, or something else on that port?"));
  }
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return absl::UnimplementedError(
        absl::StrCat("the server at ", where,
                     " does not know this call; it is an older version, or "
                     "that is not the metaserver's control port"));
  }
  return error;
}

template <typename Request, typename Response>
absl::StatusOr<Response> AdminClient::Call(
    grpc::Status (wire::Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
    const Request& request, absl::Duration timeout) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  Response response;
  const grpc::Status status = ((*stub_).*method)(&context, request, &response);
  if (!status.ok()) return Explain(status, timeout);
  return response;
}

absl::StatusOr<wire::StatusResponse> AdminClient::Status(absl::Duration timeout) {
  return Call(&wire::Admin::Stub::Status, wire::StatusRequest(), timeout);
}
absl::StatusOr<wire::ListTargetsResponse> AdminClient::ListTargets() {
  return Call(&wire::Admin::Stub::ListTargets, wire::ListTargetsRequest(), kTimeout);
}
absl::StatusOr<wire::ListGroupsResponse> AdminClient::ListGroups(
    const wire::ListGroupsRequest& request) {
  return Call(&wire::Admin::Stub::ListGroups, request, kTimeout);
}
absl::StatusOr<wire::ListClientsResponse> AdminClient::ListClients() {
  return Call(&wire::Admin::Stub::ListClients, wire::ListClientsRequest(), kTimeout);
}
absl::StatusOr<wire::EvictClientResponse> AdminClient::EvictClient(uint64_t session) {
  wire::EvictClientRequest request;
  request.set_session_id(session);
  return Call(&wire::Admin::Stub::EvictClient, request, kTimeout);
}

absl::StatusOr<wire::StatPathResponse> AdminClient::StatPath(const std::string& path) {
  wire::StatPathRequest request;
  request.set_path(path);
  return Call(&wire::Admin::Stub::StatPath, request, kTimeout);
}

absl::StatusOr<wire::StartScrubResponse> AdminClient::StartScrub(uint32_t target,
                                                                 uint64_t max_rate) {
  wire::StartScrubRequest request;
  request.set_target_id(target);
  request.set_max_bytes_per_second(max_rate);
  return Call(&wire::Admin::Stub::StartScrub, request, kTimeout);
}

absl::StatusOr<wire::ListScrubsResponse> AdminClient::ListScrubs(uint32_t target) {
  wire::ListScrubsRequest request;
  request.set_target_id(target);
  return Call(&wire::Admin::Stub::ListScrubs, request, kTimeout);
}

template <typename Request, typename Part>
absl::Status AdminClient::ReadAll(
    std::unique_ptr<grpc::ClientReader<Part>> (wire::Admin::Stub::*method)(grpc::ClientContext*,
                                                                           const Request&),
    absl::FunctionRef<absl::Status(const Part&)> take) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMilliseconds(kStreamTimeout));
  const auto reader = ((*stub_).*method)(&context, Request());
  absl::Status taken;
  for (Part part; taken.ok() && reader->Read(&part);) taken = take(part);
  if (!taken.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!taken.ok()) return taken;
  return status.ok() ? absl::OkStatus() : Explain(status, kStreamTimeout);
}

absl::Status AdminClient::CreateBackup(
    absl::FunctionRef<absl::Status(const wire::BackupPart&)> take) {
  return ReadAll<wire::CreateBackupRequest, wire::BackupPart>(&wire::Admin::Stub::CreateBackup,
                                                              take);
}

absl::Status AdminClient::ReadFacts(absl::FunctionRef<absl::Status(const wire::Facts&)> take) {
  return ReadAll<wire::ReadFactsRequest, wire::Facts>(&wire::Admin::Stub::ReadFacts, take);
}

absl::StatusOr<wire::InodeFacts> AdminClient::DescribeInode(uint64_t ino) {
  wire::DescribeInodesRequest request;
  request.add_inodes(ino);
  ASSIGN_OR_RETURN(const wire::DescribeInodesResponse response,
                   Call(&wire::Admin::Stub::DescribeInodes, request, kTimeout));
  if (response.inodes_size() != 1) return absl::DataLossError("the metaserver told too little");
  return response.inodes(0);
}

absl::StatusOr<wire::ApplyFixesResponse> AdminClient::ApplyFixes(
    const wire::ApplyFixesRequest& request) {
  return Call(&wire::Admin::Stub::ApplyFixes, request, absl::Minutes(5));
}

absl::StatusOr<wire::FinishRestoreResponse> AdminClient::FinishRestore(
    const wire::FinishRestoreRequest& request) {
  return Call(&wire::Admin::Stub::FinishRestore, request, absl::Minutes(1));
}

absl::StatusOr<wire::ListSettingsResponse> AdminClient::ListSettings() {
  return Call(&wire::Admin::Stub::ListSettings, wire::ListSettingsRequest(), kTimeout);
}
absl::StatusOr<wire::ChangeSettingResponse> AdminClient::ChangeSetting(const std::string& name,
                                                                       const std::string& value) {
  wire::ChangeSettingRequest request;
  request.set_name(name);
  request.set_value(value);
  return Call(&wire::Admin::Stub::ChangeSetting, request, kTimeout);
}

absl::StatusOr<wire::EventList> AdminClient::ListEvents(const wire::ListEventsRequest& request) {
  return Call(&wire::Admin::Stub::ListEvents, request, kTimeout);
}

absl::Status AdminClient::FollowEvents(uint64_t after, grpc::ClientContext* context,
                                       const std::function<void(const wire::EventList&)>& take) {
  wire::FollowEventsRequest request;
  request.set_after(after);
  const auto stream = stub_->FollowEvents(context, request);
  wire::EventList list;
  while (stream->Read(&list)) take(list);
  const grpc::Status status = stream->Finish();
  if (status.ok() || status.error_code() == grpc::StatusCode::CANCELLED) return absl::OkStatus();
  return Explain(status, kTimeout);
}

absl::StatusOr<wire::DrainTargetResponse> AdminClient::DrainTarget(
    const wire::DrainTargetRequest& request) {
  return Call(&wire::Admin::Stub::DrainTarget, request, kTimeout);
}
absl::StatusOr<wire::UndrainTargetResponse> AdminClient::UndrainTarget(uint32_t target) {
  wire::UndrainTargetRequest request;
  request.set_target_id(target);
  return Call(&wire::Admin::Stub::UndrainTarget, request, kTimeout);
}
absl::StatusOr<wire::RemoveTargetResponse> AdminClient::RemoveTarget(
    const wire::RemoveTargetRequest& request) {
  return Call(&wire::Admin::Stub::RemoveTarget, request, kTimeout);
}
absl::StatusOr<wire::StartRebalanceResponse> AdminClient::StartRebalance(
    const wire::StartRebalanceRequest& request) {
  return Call(&wire::Admin::Stub::StartRebalance, request, kTimeout);
}
absl::StatusOr<wire::StopRebalanceResponse> AdminClient::StopRebalance() {
  return Call(&wire::Admin::Stub::StopRebalance, wire::StopRebalanceRequest(), kTimeout);
}

}  // namespace penstock::cli
