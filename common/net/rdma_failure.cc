#include "common/net/rdma_failure.h"

#include <absl/strings/cord.h>

#include "common/text.h"

namespace penstock::net {
namespace {

constexpr std::string_view kPayloadUrl = "penstock/rdma_failure";

absl::StatusCode CodeOf(RdmaFailure failure) {
  switch (failure) {
    case RdmaFailure::kLockedMemory:
      return absl::StatusCode::kResourceExhausted;
    case RdmaFailure::kTimedOut:
      return absl::StatusCode::kDeadlineExceeded;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

}  // namespace

std::string_view RdmaFailureName(RdmaFailure failure) {
  switch (failure) {
    case RdmaFailure::kNoDevice:
      return "no_device";
    case RdmaFailure::kNoRoute:
      return "no_route";
    case RdmaFailure::kLockedMemory:
      return "memlock";
    case RdmaFailure::kPeerHasNone:
      return "peer_has_none";
    case RdmaFailure::kRefused:
      return "refused";
    case RdmaFailure::kTimedOut:
      return "timed_out";
    case RdmaFailure::kBroken:
      return "broken";
  }
  return "unknown";
}

std::string_view RdmaFailureFix(RdmaFailure failure) {
  switch (failure) {
    case RdmaFailure::kNoDevice:
      return "install rdma-core and ibverbs-providers, load the device's driver and check "
             "ibv_devinfo; or choose --transport tcp";
    case RdmaFailure::kNoRoute:
      return "give the RDMA device's interface an address in the server's network";
    case RdmaFailure::kLockedMemory:
      return "raise the limit of locked memory (LimitMEMLOCK=infinity, or ulimit -l unlimited)";
    case RdmaFailure::kPeerHasNone:
      return "start the server with --transport auto or rdma on a machine with an RDMA device";
    case RdmaFailure::kRefused:
      return "check that both programs have the same version and that the server listens for RDMA";
    case RdmaFailure::kTimedOut:
      return "check the fabric between the two machines (rping, ibv_rc_pingpong, PFC, MTU)";
    case RdmaFailure::kBroken:
      return "look at the fabric's error counters if it happens again and again";
  }
  return "";
}

absl::Status RdmaError(RdmaFailure failure, std::string_view message) {
  absl::Status status(CodeOf(failure), ToAbsl(message));
  status.SetPayload(ToAbsl(kPayloadUrl), absl::Cord(ToAbsl(RdmaFailureName(failure))));
  return status;
}

std::optional<RdmaFailure> RdmaFailureOf(const absl::Status& status) {
  const auto payload = status.GetPayload(ToAbsl(kPayloadUrl));
  if (!payload.has_value()) return std::nullopt;
  for (RdmaFailure failure : kAllRdmaFailures) {
    if (*payload == ToAbsl(RdmaFailureName(failure))) return failure;
  }
  return std::nullopt;
}

}  // namespace penstock::net
