// Socket addresses as rdma_cm takes and gives them.
#pragma once

#include <absl/status/statusor.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace penstock::net {

struct RdmaAddress {
  sockaddr_storage storage{};
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// `host`: a literal IP address. INVALID_ARGUMENT.
absl::StatusOr<RdmaAddress> ParseRdmaAddress(const std::string& host, uint32_t port);
// "ip:port".
std::string RdmaAddressText(const sockaddr* address);

}  // namespace penstock::net
