// Why RDMA is not used between two programs, and what to do about it. Carried by the status of a
// failed set-up.
#pragma once

#include <absl/status/status.h>

#include <optional>
#include <string_view>

namespace penstock::net {

enum class RdmaFailure {
  kNoDevice,      // no RDMA device here, or it does not work
  kNoRoute,       // no device leads to the peer's address
  kLockedMemory,  // RLIMIT_MEMLOCK, or the device's own limit of registrations
  kPeerHasNone,   // the peer advertises no RDMA address
  kRefused,       // nobody listens there, or the peer speaks another version
  kTimedOut,
  kBroken,  // a connection that had worked broke
};
inline constexpr RdmaFailure kAllRdmaFailures[] = {
    RdmaFailure::kNoDevice,    RdmaFailure::kNoRoute, RdmaFailure::kLockedMemory,
    RdmaFailure::kPeerHasNone, RdmaFailure::kRefused, RdmaFailure::kTimedOut,
    RdmaFailure::kBroken};

// One word, for logs, metrics and JSON: "no_device", "no_route", ...
std::string_view RdmaFailureName(RdmaFailure failure);
// What the operator can do, one sentence.
std::string_view RdmaFailureFix(RdmaFailure failure);

// UNAVAILABLE (RESOURCE_EXHAUSTED for kLockedMemory, DEADLINE_EXCEEDED for kTimedOut) with the
// failure attached.
absl::Status RdmaError(RdmaFailure failure, std::string_view message);
std::optional<RdmaFailure> RdmaFailureOf(const absl::Status& status);

}  // namespace penstock::net
