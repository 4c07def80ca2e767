// Shared by ChunkClient's files: the course of one call over its tries, and conversions.
#pragma once

#include <absl/time/clock.h>

#include "client/chunk_client.h"
#include "client/wait.h"
#include "common/status.h"

namespace penstock::client {

inline void SetKey(const ChunkKey& key, wire::ChunkKey* wire) {
  wire->set_content_id(key.content.value());
  wire->set_index(key.index);
  wire->set_position(key.position);
}

inline ChunkVersion VersionOf(const wire::ChunkVersion& v) { return {v.epoch(), v.sequence()}; }

inline void SetVersion(ChunkVersion version, wire::ChunkVersion* wire) {
  wire->set_epoch(version.epoch);
  wire->set_sequence(version.sequence);
}

inline absl::Status StatusOf(const wire::ChunkResult& result) {
  if (result.code() == 0) return absl::OkStatus();
  absl::Status status(static_cast<absl::StatusCode>(result.code()), result.message());
  if (result.err() != 0) {
    absl::Status with_errno = PosixError(static_cast<int>(result.err()), result.message());
    if (with_errno.code() == status.code()) status = with_errno;
  }
  if (result.reason() != 0) {
    status = WithReason(std::move(status), static_cast<Reason>(result.reason()));
  }
  return status;
}

// Errors that another try may heal: nobody answered, or the map must change first.
inline bool MayHeal(const absl::Status& status) {
  if (IsRetryable(status) || absl::IsDeadlineExceeded(status)) return true;
  switch (ReasonOf(status)) {
    case Reason::kStaleEpoch:
    case Reason::kNewerEpoch:
    case Reason::kNotMember:
    case Reason::kPendingVersion:
    case Reason::kAbsentTarget:
    case Reason::kNoGroups:
      return true;
    default:
      return false;
  }
}

class ChunkClient::Tries {
 public:
  Tries(const MapHolder* maps, absl::Duration timeout)
      : maps_(maps), timeout_(timeout), deadline_(absl::Now() + timeout) {}

  // After a failed round: waits a little, or for a newer map when that is what is missing. The
  // error to return when it makes no sense to go on.
  absl::Status Again(const absl::Status& error, const OpContext& op) {
    if (!MayHeal(error)) return error;
    const absl::Duration pause = backoff_.Next();
    if (absl::Now() + pause >= deadline_) {
      return PosixError(EIO, absl::StrCat("chunkservers did not do it in ",
                                          absl::FormatDuration(timeout_), ": ", error.message()));
    }
    RETURN_IF_ERROR(CheckInterrupt(op));
    const Reason reason = ReasonOf(error);
    if (reason == Reason::kStaleEpoch || reason == Reason::kNotMember ||
        reason == Reason::kNoGroups) {
      maps_->WaitNewer(maps_->Get()->version(), pause);
      return absl::OkStatus();
    }
    return SleepFor(pause, op);
  }
  absl::Duration left() const { return deadline_ - absl::Now(); }

 private:
  const MapHolder* const maps_;
  const absl::Duration timeout_;
  const absl::Time deadline_;
  Backoff backoff_{absl::Milliseconds(5), absl::Milliseconds(500)};
};

}  // namespace penstock::client
