// The RDMA implementation of Transport: reliable connections of rdma_cm, with the server driving
// the payloads (docs/formats/wire.md, "RDMA"). Thread-safe.
//
// Errors of Connect and Listen carry why RDMA does not work (rdma_failure.h).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <memory>

#include "common/net/transport.h"

struct ibv_context;

namespace penstock::net {

class RdmaDevice;
class RdmaEvents;

struct RdmaOptions {
  // The local address that connections are made from, a literal one; empty: the route decides.
  std::string source_host;
};

class RdmaTransport : public Transport {
 public:
  explicit RdmaTransport(RdmaOptions options = {});
  ~RdmaTransport() override;

  std::string name() const override { return "rdma"; }
  absl::StatusOr<std::unique_ptr<Link>> Connect(const wire::Address& address,
                                                const WaitLimit& limit) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& host, uint16_t port) override;

  // Shared by connections and listeners, made with the first one.
  struct Parts {
    absl::StatusOr<std::shared_ptr<RdmaEvents>> Events();
    absl::StatusOr<std::shared_ptr<RdmaDevice>> Device(ibv_context* context);

   private:
    absl::Mutex mu;
    std::shared_ptr<RdmaEvents> events ABSL_GUARDED_BY(mu);
    std::map<ibv_context*, std::shared_ptr<RdmaDevice>> devices ABSL_GUARDED_BY(mu);
  };

 private:
  const RdmaOptions options_;
  const std::shared_ptr<Parts> parts_;
};

}  // namespace penstock::net
