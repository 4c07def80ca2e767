// Questions of those that wait for something: a metaserver that starts again meanwhile does not end
// the wait.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "cli/admin_client.h"
#include "common/status.h"

namespace penstock::cli {

// Until a question is asked again: a second, less when the deadline is nearer.
void PauseBetweenQuestions(absl::Time deadline);

// Until when a question without an answer is asked again: the deadline, or a minute without one.
absl::Time EndOfPatience(absl::Time deadline);

// Asks again while the metaserver does not answer, until the end of patience. Then its last error.
template <typename Ask>
auto AskPatiently(AdminClient& admin, absl::Time deadline, Ask ask) -> decltype(ask()) {
  const absl::Time until = EndOfPatience(deadline);
  while (true) {
    auto answer = ask();
    const bool passing =
        absl::IsUnavailable(answer.status()) || absl::IsDeadlineExceeded(answer.status());
    if (!passing || absl::Now() >= until) return answer;
    PauseBetweenQuestions(until);
    RETURN_IF_ERROR(admin.Reconnect());
  }
}

absl::StatusOr<wire::StatusResponse> PatientStatus(AdminClient& admin, absl::Time deadline);

}  // namespace penstock::cli
