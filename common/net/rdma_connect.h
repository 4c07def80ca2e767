// Making an RDMA connection to a server.
#pragma once

#include "common/net/rdma_transport.h"

struct rdma_conn_param;

namespace penstock::net {

// Parameters that both sides use; `said` must outlive them.
rdma_conn_param RdmaConnectionParameters(const RdmaDevice& device, const std::string& said);

absl::StatusOr<std::unique_ptr<Link>> ConnectRdma(RdmaTransport::Parts& parts,
                                                  const RdmaOptions& options,
                                                  const wire::Address& address,
                                                  const WaitLimit& limit);

}  // namespace penstock::net
