// Which pieces of local memory belong to which of the peer's: the work requests of one payload.
// A pure function.
#pragma once

#include <absl/types/span.h>
#include <sys/uio.h>

#include <vector>

#include "common/net/rdma_segment.h"

namespace penstock::net {

struct RdmaTransfer {
  char* local = nullptr;
  uint64_t remote = 0;
  uint32_t bytes = 0;
  uint32_t remote_key = 0;
  size_t part = 0;  // which of the local pieces
};

// The first `total` bytes of both lists, in order, none longer than `longest`. Both lists must hold
// that many.
std::vector<RdmaTransfer> SpreadTransfers(absl::Span<const iovec> local,
                                          absl::Span<const RemotePiece> remote, uint64_t total,
                                          uint32_t longest);

}  // namespace penstock::net
