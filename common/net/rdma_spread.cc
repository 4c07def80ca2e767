#include "common/net/rdma_spread.h"

#include <algorithm>

#include "common/status.h"

namespace penstock::net {

std::vector<RdmaTransfer> SpreadTransfers(absl::Span<const iovec> local,
                                          absl::Span<const RemotePiece> remote, uint64_t total,
                                          uint32_t longest) {
  std::vector<RdmaTransfer> transfers;
  size_t here = 0, there = 0;          // which piece
  uint64_t here_at = 0, there_at = 0;  // how far in it
  while (total > 0) {
    INVARIANT(here < local.size() && there < remote.size());
    const uint64_t here_left = local[here].iov_len - here_at;
    const uint64_t there_left = remote[there].bytes - there_at;
    const uint64_t bytes = std::min({here_left, there_left, total, uint64_t{longest}});
    if (bytes != 0) {
      transfers.push_back({static_cast<char*>(local[here].iov_base) + here_at,
                           remote[there].address + there_at, static_cast<uint32_t>(bytes),
                           remote[there].key, here});
    }
    here_at += bytes;
    there_at += bytes;
    total -= bytes;
    if (here_at == local[here].iov_len) ++here, here_at = 0;
    if (there_at == remote[there].bytes) ++there, there_at = 0;
  }
  return transfers;
}

}  // namespace penstock::net
