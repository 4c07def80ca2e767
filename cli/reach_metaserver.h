// Whether a metaserver answers at an address, before a mount waits for it as patiently as I/O does.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "cli/address.h"
#include "common/net/cluster_key.h"

namespace penstock::cli {

// Tries until `patience` is over, for a server that is just starting; a wrong key or cluster is
// told at once. Starts no thread.
absl::Status ReachMetaserver(const HostPort& address, const net::ClusterKey& key,
                             absl::Duration patience);

}  // namespace penstock::cli
