#include "common/net/rdma_transport.h"

#include "common/net/rdma_connect.h"
#include "common/net/rdma_device.h"
#include "common/net/rdma_events.h"
#include "common/net/rdma_failure.h"
#include "common/net/rdma_listener.h"
#include "common/status.h"

namespace penstock::net {

absl::StatusOr<std::shared_ptr<RdmaEvents>> RdmaTransport::Parts::Events() {
  absl::MutexLock lock(&mu);
  if (events == nullptr) {
    // Asked first: without one librdmacm complains on standard error.
    int devices = 0;
    ibv_device** list = ibv_get_device_list(&devices);
    if (list != nullptr) ibv_free_device_list(list);
    if (devices == 0) return RdmaError(RdmaFailure::kNoDevice, "no RDMA device");
    ASSIGN_OR_RETURN(events, RdmaEvents::Start());
  }
  return events;
}

absl::StatusOr<std::shared_ptr<RdmaDevice>> RdmaTransport::Parts::Device(ibv_context* context) {
  absl::MutexLock lock(&mu);
  std::shared_ptr<RdmaDevice>& device = devices[context];
  if (device == nullptr || device->dead()) {
    ASSIGN_OR_RETURN(device, RdmaDevice::Open(context));
  }
  return device;
}

RdmaTransport::RdmaTransport(RdmaOptions options)
    : options_(std::move(options)), parts_(std::make_shared<Parts>()) {}

RdmaTransport::~RdmaTransport() = default;

absl::StatusOr<std::unique_ptr<Link>> RdmaTransport::Connect(const wire::Address& address,
                                                             const WaitLimit& limit) {
  return ConnectRdma(*parts_, options_, address, limit);
}

absl::StatusOr<std::unique_ptr<Listener>> RdmaTransport::Listen(const std::string& host,
                                                                uint16_t port) {
  return ListenRdma(parts_, host, port);
}

}  // namespace penstock::net
