// The flags that choose the transport, the same for every program.
#pragma once

#include "common/net/auto_transport.h"
#include "common/program.h"

namespace penstock::net {

// --transport, --rdma-timeout and --rdma-retry. `options` must outlive the parsing.
void AddTransportFlags(CLI::App& app, TransportOptions* options);

}  // namespace penstock::net
