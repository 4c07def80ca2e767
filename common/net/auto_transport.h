// AutoTransport: the transport of programs: TCP and RDMA, with the choice between them
// (transport_choice.h). Thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/metrics_server.h"
#include "common/net/rdma_transport.h"
#include "common/net/tcp_transport.h"
#include "common/net/transport.h"
#include "common/net/transport_choice.h"

namespace penstock::net {

class AutoTransport : public Transport {
 public:
  explicit AutoTransport(TransportOptions options = {});

  std::string name() const override;  // that of the mode
  absl::StatusOr<std::unique_ptr<Link>> Connect(const wire::Address& address,
                                                const WaitLimit& limit) override;
  // TCP, whatever the mode: tools and peers without RDMA use it.
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& host, uint16_t port) override;
  // RDMA beside it; what fails carries why. Not to be called in the mode `tcp`.
  absl::StatusOr<std::unique_ptr<Listener>> ListenBeside(const std::string& host,
                                                         uint16_t port) override;

  std::vector<wire::Address> Order(const std::vector<wire::Address>& addresses) override;
  WaitLimit LimitFor(const wire::Address& address, const WaitLimit& limit) const override;
  void Outcome(const wire::Address& address, const absl::Status& opened) override;
  void OnBroken(const wire::Address& address) override;
  bool ShouldReplace(const wire::Address& current,
                     const std::vector<wire::Address>& addresses) const override;

  const TransportOptions& options() const { return options_; }
  // Why there is no RDMA to a server with these addresses; empty when there is, or nobody tried.
  std::string WhyNotRdma(const std::vector<wire::Address>& addresses) const override;
  void AddMetrics(std::vector<Metric>* metrics) const;

 private:
  const TransportOptions options_;
  TcpTransport tcp_;
  RdmaTransport rdma_;
  TransportChoice choice_;
};

// "host:port" of an address.
std::string PeerKey(const wire::Address& address);

}  // namespace penstock::net
