#include "common/status.h"

#include <absl/strings/cord.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstdlib>

namespace penstock {
namespace {

constexpr absl::string_view kErrnoUrl = "penstock/errno";
constexpr absl::string_view kReasonUrl = "penstock/reason";

void SetNumber(absl::Status& status, absl::string_view url, int value) {
  status.SetPayload(url, absl::Cord(absl::StrCat(value)));
}

int GetNumber(const absl::Status& status, absl::string_view url) {
  auto payload = status.GetPayload(url);
  int value = 0;
  if (!payload || !absl::SimpleAtoi(std::string(*payload), &value)) return 0;
  return value;
}

int ErrnoOfCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 0;
    case absl::StatusCode::kNotFound:
      return ENOENT;
    case absl::StatusCode::kAlreadyExists:
      return EEXIST;
    case absl::StatusCode::kInvalidArgument:
      return EINVAL;
    case absl::StatusCode::kPermissionDenied:
      return EPERM;
    case absl::StatusCode::kUnauthenticated:
      return EACCES;
    case absl::StatusCode::kResourceExhausted:
      return ENOSPC;
    case absl::StatusCode::kUnimplemented:
      return EOPNOTSUPP;
    case absl::StatusCode::kCancelled:
      return EINTR;
    default:
      return EIO;
  }
}

absl::StatusCode CodeOfErrno(int err) {
  switch (err) {
    case EINVAL:
    case ENAMETOOLONG:
    case E2BIG:
      return absl::StatusCode::kInvalidArgument;
    case EPERM:
    case EACCES:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case EMLINK:
      return absl::StatusCode::kResourceExhausted;
    case EOPNOTSUPP:
    case ENOSYS:
      return absl::StatusCode::kUnimplemented;
    case EINTR:
      return absl::StatusCode::kCancelled;
    case ENOENT:
    case ENXIO:
    case ENODATA:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case EIO:
      return absl::StatusCode::kInternal;
    default:
      return absl::StatusCode::kFailedPrecondition;
  }
}

}  // namespace

std::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "none";
    case Reason::kStaleEpoch:
      return "stale_epoch";
    case Reason::kNewerEpoch:
      return "newer_epoch";
    case Reason::kNotMember:
      return "not_member";
    case Reason::kPendingVersion:
      return "pending_version";
    case Reason::kFenced:
      return "fenced";
    case Reason::kSessionUnknown:
      return "session_unknown";
    case Reason::kOldSequence:
      return "old_sequence";
    case Reason::kMissingBase:
      return "missing_base";
    case Reason::kNotDurable:
      return "not_durable";
    case Reason::kInlineDropped:
      return "inline_dropped";
    case Reason::kContentChanged:
      return "content_changed";
    case Reason::kTruncating:
      return "truncating";
    case Reason::kAuthentication:
      return "authentication";
    case Reason::kWrongCluster:
      return "wrong_cluster";
    case Reason::kProtocolVersion:
      return "protocol_version";
    case Reason::kNoGroups:
      return "no_groups";
    case Reason::kAbsentTarget:
      return "absent_target";
    case Reason::kMessageTooLarge:
      return "message_too_large";
    case Reason::kUnknownMethod:
      return "unknown_method";
    case Reason::kFileShared:
      return "file_shared";
  }
  return "unknown";
}

absl::Status PosixError(int err, std::string_view message) {
  absl::Status status(CodeOfErrno(err), ToAbsl(message));
  SetNumber(status, kErrnoUrl, err);
  return status;
}

int AttachedErrno(const absl::Status& status) { return GetNumber(status, kErrnoUrl); }

int ErrnoOf(const absl::Status& status) {
  if (status.ok()) return 0;
  int attached = AttachedErrno(status);
  return attached > 0 ? attached : ErrnoOfCode(status.code());
}

absl::Status WithErrno(absl::Status status, int err) {
  if (!status.ok() && err > 0) SetNumber(status, kErrnoUrl, err);
  return status;
}

absl::Status WithReason(absl::Status status, Reason reason) {
  if (!status.ok()) SetNumber(status, kReasonUrl, static_cast<int>(reason));
  return status;
}

Reason ReasonOf(const absl::Status& status) {
  return static_cast<Reason>(GetNumber(status, kReasonUrl));
}

absl::Status Annotate(absl::Status status, std::string_view what) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(ToAbsl(what), ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

bool IsRetryable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsAborted(status);
}

void InvariantFailed(const char* condition, const char* file, int line) {
  spdlog::critical("invariant failed condition=\"{}\" at={}:{}", condition, file, line);
  spdlog::default_logger()->flush();
  std::abort();
}

}  // namespace penstock
