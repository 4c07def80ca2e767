// Counters of a client or a server.
#pragma once

#include <atomic>
#include <cstdint>

namespace penstock::net {

inline void Count(std::atomic<uint64_t>& counter, uint64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

}  // namespace penstock::net
