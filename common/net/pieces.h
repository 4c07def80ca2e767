// Memory in several pieces.
#pragma once

#include <absl/types/span.h>
#include <sys/uio.h>

#include <cstddef>

namespace penstock::net {

inline size_t TotalBytes(absl::Span<const iovec> pieces) {
  size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  return total;
}

}  // namespace penstock::net
