// CurrentClient is the number of the client that a session has now. A mount's clients follow each
// other, each with a higher number, while the session goes on; what an earlier one sent and comes
// late must change nothing. Kept in memory: after a restart the next heartbeat says it. A plain
// value.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/status.h"

namespace penstock::metaserver {

class CurrentClient {
 public:
  bool IsAfter(uint64_t client) const { return client != 0 && client < number_; }
  // FAILED_PRECONDITION kOldSequence: a later one goes on with the session.
  absl::Status Check(uint64_t client) const {
    if (!IsAfter(client)) return absl::OkStatus();
    return WithReason(absl::FailedPreconditionError("a later client goes on with the session"),
                      Reason::kOldSequence);
  }
  // The same; one that is not refused is the current one from now on.
  absl::Status Note(uint64_t client) {
    RETURN_IF_ERROR(Check(client));
    number_ = std::max(number_, client);
    return absl::OkStatus();
  }

 private:
  uint64_t number_ = 0;  // 0: the session's clients have none
};

}  // namespace penstock::metaserver
