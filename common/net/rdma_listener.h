// Accepting RDMA connections.
#pragma once

#include "common/net/rdma_transport.h"

namespace penstock::net {

absl::StatusOr<std::unique_ptr<Listener>> ListenRdma(std::shared_ptr<RdmaTransport::Parts> parts,
                                                     const std::string& host, uint16_t port);

}  // namespace penstock::net
