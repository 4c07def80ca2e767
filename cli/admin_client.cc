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
absl::StatusOr<wire::ListGroupsResponse> AdminClient::ListGroups() {
  return Call(&wire::Admin::Stub::ListGroups, wire::ListGroupsRequest(), kTimeout);
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
