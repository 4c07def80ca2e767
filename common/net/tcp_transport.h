// The TCP implementation of Transport. Immutable, thread-safe.
#pragma once

#include "common/net/transport.h"

namespace penstock::net {

class TcpTransport : public Transport {
 public:
  std::string name() const override { return "tcp"; }
  // A host that is no literal IP address is looked up, which may wait beyond the limit.
  absl::StatusOr<std::unique_ptr<Link>> Connect(const wire::Address& address,
                                                const WaitLimit& limit) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& host, uint16_t port) override;
};

}  // namespace penstock::net
