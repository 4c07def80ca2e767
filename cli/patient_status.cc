#include "cli/patient_status.h"

#include <algorithm>

namespace penstock::cli {

void PauseBetweenQuestions(absl::Time deadline) {
  absl::SleepFor(std::min(absl::Seconds(1), deadline - absl::Now()));
}

absl::Time EndOfPatience(absl::Time deadline) {
  return deadline == absl::InfiniteFuture() ? absl::Now() + absl::Minutes(1) : deadline;
}

absl::StatusOr<wire::StatusResponse> PatientStatus(AdminClient& admin, absl::Time deadline) {
  return AskPatiently(admin, deadline, [&] { return admin.Status(); });
}

}  // namespace penstock::cli
