// Errors. Whatever can fail returns absl::Status or StatusOr. What an application will see
// carries its errno; what a Penstock peer must react to carries a Reason.
// UNAVAILABLE and ABORTED mean "safe to try again", DATA_LOSS means "bytes are wrong".
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string_view>

#include "common/text.h"

namespace penstock {

// Why a peer refused, beyond the errno. Values are on the wire (docs/formats/wire.md): never reuse
// one.
enum class Reason : uint16_t {
  kNone = 0,
  kStaleEpoch = 1,       // the request's group epoch is older than the server's: refresh the map
  kNewerEpoch = 2,       // the request's group epoch is newer: the server must refresh first
  kNotMember = 3,        // the target is not in the group, or not in the needed role
  kPendingVersion = 4,   // the chunk has an uncommitted version: ask the tail
  kFenced = 5,           // the session may not write any more
  kSessionUnknown = 6,   // the session ended or never was: open a new one
  kOldSequence = 7,      // an older write or mutation of the same channel or slot
  kMissingBase = 8,      // the member lacks the version that the change builds on
  kNotDurable = 9,       // sync was asked for a version that this member does not have
  kInlineDropped = 10,   // the file is no longer inline, or its inline version differs
  kContentChanged = 11,  // the file has another content id now
  kTruncating = 12,      // a truncation of this file is under way: try again soon
  kAuthentication = 13,  // wrong cluster key
  kWrongCluster = 14,
  kProtocolVersion = 15,
  kNoGroups = 16,      // the cluster has not formed its replication groups yet
  kAbsentTarget = 17,  // the target's directory is missing, empty or foreign
  kMessageTooLarge = 18,
  kUnknownMethod = 19,
  kFileShared = 20,  // others use the file too: take its shared-write right first
};
std::string_view ReasonName(Reason reason);

// A status that an application will see as `err` (an errno value, > 0).
absl::Status PosixError(int err, std::string_view message);
// The errno of a status: 0 for OK, the one carried, else the nearest of the canonical code.
int ErrnoOf(const absl::Status& status);
// The errno that was attached, 0 when none was.
int AttachedErrno(const absl::Status& status);

// The same status with an errno attached (a status from a wire keeps its canonical code).
absl::Status WithErrno(absl::Status status, int err);
absl::Status WithReason(absl::Status status, Reason reason);
Reason ReasonOf(const absl::Status& status);

// Puts "what: " before the message; errno and reason stay.
absl::Status Annotate(absl::Status status, std::string_view what);

// "safe to try again": UNAVAILABLE or ABORTED.
bool IsRetryable(const absl::Status& status);

[[noreturn]] void InvariantFailed(const char* condition, const char* file, int line);

}  // namespace penstock

#define PENSTOCK_CONCAT_INNER(a, b) a##b
#define PENSTOCK_CONCAT(a, b) PENSTOCK_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expr)                                                                   \
  do {                                                                                          \
    if (::absl::Status penstock_status = (expr); !penstock_status.ok()) return penstock_status; \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expr) \
  PENSTOCK_ASSIGN_OR_RETURN(PENSTOCK_CONCAT(penstock_statusor_, __LINE__), lhs, expr)
#define PENSTOCK_ASSIGN_OR_RETURN(tmp, lhs, expr) \
  auto tmp = (expr);                              \
  if (!tmp.ok()) return std::move(tmp).status();  \
  lhs = std::move(tmp).value()

// For our own bugs only; stays on in production. Never for input, disk or network.
#define INVARIANT(condition) \
  ((condition) ? (void)0 : ::penstock::InvariantFailed(#condition, __FILE__, __LINE__))
