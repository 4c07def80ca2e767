#include "common/net/rdma_connect.h"

#include <absl/strings/str_cat.h>
#include <poll.h>
#include <rdma/rdma_cma.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/net/rdma_address.h"
#include "common/net/rdma_failure.h"
#include "common/net/rdma_link.h"
#include "common/status.h"

namespace penstock::net {
namespace {

// 4.096 us x 2^16 = 0.27 s; with the retries a dead path is noticed within two seconds. (Seven
// retries would mean "for ever" to some devices.)
constexpr uint8_t kAckTimeout = 16;
constexpr uint8_t kRetries = 6;

// The id and its private channel, until they belong to a link.
class Attempt {
 public:
  Attempt() = default;
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  ~Attempt() {
    endpoint_.reset();
    if (id_ != nullptr) (void)rdma_destroy_id(id_);
    if (channel_ != nullptr) rdma_destroy_event_channel(channel_);
  }

  absl::Status Open();
  absl::Status Resolve(const RdmaOptions& options, RdmaAddress target, const WaitLimit& limit);
  absl::Status Connect(RdmaTransport::Parts& parts, const WaitLimit& limit);
  // Waits for `wanted`; keeps its private data. Other events are failures.
  absl::Status Await(rdma_cm_event_type wanted, const WaitLimit& limit);

  std::unique_ptr<RdmaEndpoint> TakeEndpoint() { return std::move(endpoint_); }
  RdmaEndpoint* endpoint() { return endpoint_.get(); }

 private:
  rdma_event_channel* channel_ = nullptr;
  rdma_cm_id* id_ = nullptr;  // null once the endpoint has it
  std::unique_ptr<RdmaEndpoint> endpoint_;
  std::string private_data_;
};

absl::Status CannotConnectRdma(absl::string_view step, int err) {
  RdmaFailure failure = RdmaFailure::kNoRoute;
  if (err == ECONNREFUSED) failure = RdmaFailure::kRefused;
  if (err == ETIMEDOUT) failure = RdmaFailure::kTimedOut;
  if (err == ENOMEM) failure = RdmaFailure::kLockedMemory;
  return RdmaError(failure, absl::StrCat("RDMA ", step, ": ", std::strerror(err)));
}

absl::Status FailedEvent(const rdma_cm_event& event) {
  const char* name = rdma_event_str(event.event);
  switch (event.event) {
    case RDMA_CM_EVENT_REJECTED:
      return RdmaError(RdmaFailure::kRefused,
                       absl::StrCat("RDMA connection refused status=", event.status));
    case RDMA_CM_EVENT_UNREACHABLE:
      return RdmaError(event.status == -ETIMEDOUT ? RdmaFailure::kTimedOut : RdmaFailure::kNoRoute,
                       absl::StrCat("RDMA peer is unreachable status=", event.status));
    case RDMA_CM_EVENT_ADDR_ERROR:
    case RDMA_CM_EVENT_ROUTE_ERROR:
      return RdmaError(RdmaFailure::kNoRoute, absl::StrCat(name, " status=", event.status));
    default:
      return RdmaError(RdmaFailure::kBroken, absl::StrCat(name, " status=", event.status));
  }
}

absl::Status Attempt::Open() {
  channel_ = NewRdmaChannel();
  if (channel_ == nullptr || rdma_create_id(channel_, &id_, nullptr, RDMA_PS_TCP) != 0) {
    return RdmaError(RdmaFailure::kNoDevice, absl::StrCat("rdma_cm: ", std::strerror(errno)));
  }
  uint8_t timeout = kAckTimeout;
  (void)rdma_set_option(id_, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout, sizeof timeout);
  return absl::OkStatus();
}

absl::Status Attempt::Await(rdma_cm_event_type wanted, const WaitLimit& limit) {
  rdma_cm_event* event = nullptr;
  while (rdma_get_cm_event(channel_, &event) != 0) {
    if (errno != EAGAIN && errno != EINTR) return CannotConnectRdma("event", errno);
    auto ready = WaitFor(channel_->fd, POLLIN, limit);
    if (absl::IsDeadlineExceeded(ready.status())) {
      return RdmaError(RdmaFailure::kTimedOut, "RDMA connection was not made in time");
    }
    if (!ready.ok()) return ready.status();
  }
  absl::Status status;
  if (event->event != wanted) {
    status = FailedEvent(*event);
  } else if (event->param.conn.private_data != nullptr) {
    private_data_.assign(static_cast<const char*>(event->param.conn.private_data),
                         event->param.conn.private_data_len);
  }
  (void)rdma_ack_cm_event(event);
  return status;
}

absl::Status Attempt::Resolve(const RdmaOptions& options, RdmaAddress target,
                              const WaitLimit& limit) {
  RdmaAddress source;
  sockaddr* from = nullptr;
  if (!options.source_host.empty()) {
    ASSIGN_OR_RETURN(source, ParseRdmaAddress(options.source_host, 0));
    from = source.get();
  }
  const int64_t left_ms = absl::ToInt64Milliseconds(limit.Left());
  const auto timeout_ms = static_cast<int>(std::clamp<int64_t>(left_ms, 1, 60'000));
  if (rdma_resolve_addr(id_, from, target.get(), timeout_ms) != 0) {
    return CannotConnectRdma("address", errno);
  }
  RETURN_IF_ERROR(Await(RDMA_CM_EVENT_ADDR_RESOLVED, limit));
  if (rdma_resolve_route(id_, timeout_ms) != 0) return CannotConnectRdma("route", errno);
  RETURN_IF_ERROR(Await(RDMA_CM_EVENT_ROUTE_RESOLVED, limit));
  if (id_->verbs == nullptr) return RdmaError(RdmaFailure::kNoRoute, "RDMA route has no device");
  return absl::OkStatus();
}

absl::Status Attempt::Connect(RdmaTransport::Parts& parts, const WaitLimit& limit) {
  ASSIGN_OR_RETURN(auto device, parts.Device(id_->verbs));
  auto endpoint = RdmaEndpoint::Create(std::exchange(id_, nullptr), device, RdmaPeer::kServer);
  if (!endpoint.ok()) return endpoint.status();
  endpoint_ = std::move(*endpoint);
  const std::string said = EncodePrivate(endpoint_->Announce());
  rdma_conn_param parameters = RdmaConnectionParameters(*device, said);
  if (rdma_connect(endpoint_->id(), &parameters) != 0) return CannotConnectRdma("connect", errno);
  RETURN_IF_ERROR(Await(RDMA_CM_EVENT_ESTABLISHED, limit));
  auto peer = DecodePrivate(private_data_);
  if (!peer.ok()) return RdmaError(RdmaFailure::kRefused, std::string(peer.status().message()));
  endpoint_->SetPeer(*peer);
  return absl::OkStatus();
}

}  // namespace

rdma_conn_param RdmaConnectionParameters(const RdmaDevice& device, const std::string& said) {
  rdma_conn_param parameters{};
  parameters.private_data = said.data();
  parameters.private_data_len = static_cast<uint8_t>(said.size());
  const auto reads = static_cast<uint8_t>(device.most_reads_in_flight());
  parameters.responder_resources = reads;
  parameters.initiator_depth = reads;
  parameters.retry_count = kRetries;
  parameters.rnr_retry_count = kRetries;
  return parameters;
}

absl::StatusOr<std::unique_ptr<Link>> ConnectRdma(RdmaTransport::Parts& parts,
                                                  const RdmaOptions& options,
                                                  const wire::Address& address,
                                                  const WaitLimit& limit) {
  auto target = ParseRdmaAddress(address.host(), address.port());
  if (!target.ok()) return RdmaError(RdmaFailure::kNoRoute, std::string(target.status().message()));
  const std::string where = RdmaAddressText(target->get());
  ASSIGN_OR_RETURN(auto events, parts.Events());
  Attempt attempt;
  absl::Status made = attempt.Open();
  if (made.ok()) made = attempt.Resolve(options, *target, limit);
  if (made.ok()) made = attempt.Connect(parts, limit);
  if (made.ok()) made = events->Adopt(attempt.endpoint());
  if (!made.ok()) return Annotate(made, absl::StrCat("connect to ", where));
  return std::make_unique<RdmaLink>(attempt.TakeEndpoint(), std::move(events), where);
}

}  // namespace penstock::net
