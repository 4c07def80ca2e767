// The cluster's status for those that wait for something: a metaserver that starts again meanwhile
// does not end the wait.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "cli/admin_client.h"

namespace penstock::cli {

// Asks again while the metaserver does not answer: until `deadline`, or for a minute without one.
// Then its last error.
absl::StatusOr<wire::StatusResponse> PatientStatus(AdminClient& admin, absl::Time deadline);

}  // namespace penstock::cli
