#include "common/net/rdma_address.h"

#include <absl/strings/str_cat.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cstring>

namespace penstock::net {

absl::StatusOr<RdmaAddress> ParseRdmaAddress(const std::string& host, uint32_t port) {
  if (port > 65535) return absl::InvalidArgumentError(absl::StrCat("no such port: ", port));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  const int err = getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &found);
  if (err != 0 || found == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("address ", host, " port ", port, ": ", gai_strerror(err)));
  }
  RdmaAddress address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return address;
}

std::string RdmaAddressText(const sockaddr* address) {
  const bool v6 = address->sa_family == AF_INET6;
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getnameinfo(address, v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in), host, sizeof host, port,
                  sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  return absl::StrCat(v6 ? "[" : "", host, v6 ? "]:" : ":", port);
}

}  // namespace penstock::net
