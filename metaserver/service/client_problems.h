// One line, with its fix, for each problem that only clients see. Pure.
#pragma once

#include <absl/types/span.h>

#include <string>
#include <vector>

#include "proto/admin.pb.h"

namespace penstock::metaserver {

// Clients that are silent, and servers that answer some of them so slowly that other copies are
// read instead.
std::vector<std::string> ClientProblems(absl::Span<const wire::ClientInfo> clients,
                                        absl::Span<const wire::ServerInfo> servers);

}  // namespace penstock::metaserver
