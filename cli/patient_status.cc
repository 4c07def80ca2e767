#include "cli/patient_status.h"

#include <absl/time/clock.h>

#include <algorithm>

#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr absl::Duration kAskEvery = absl::Seconds(1);

}  // namespace

absl::StatusOr<wire::StatusResponse> PatientStatus(AdminClient& admin, absl::Time deadline) {
  const absl::Time until = deadline == absl::InfiniteFuture() ? absl::Now() + kPatience : deadline;
  while (true) {
    auto status = admin.Status();
    const bool passing =
        absl::IsUnavailable(status.status()) || absl::IsDeadlineExceeded(status.status());
    if (!passing || absl::Now() >= until) return status;
    absl::SleepFor(std::min(kAskEvery, until - absl::Now()));
    RETURN_IF_ERROR(admin.Reconnect());
  }
}

}  // namespace penstock::cli
