#include "common/net/rdma_listener.h"

#include <absl/strings/str_cat.h>
#include <rdma/rdma_cma.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>

#include "common/net/rdma_address.h"
#include "common/net/rdma_connect.h"
#include "common/net/rdma_failure.h"
#include "common/net/rdma_link.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr int kRdmaBacklog = 1024;

class RdmaListener : public Listener {
 public:
  explicit RdmaListener(std::shared_ptr<RdmaTransport::Parts> parts) : parts_(std::move(parts)) {}
  ~RdmaListener() override {
    if (id_ != nullptr) (void)rdma_destroy_id(id_);
    if (channel_ != nullptr) rdma_destroy_event_channel(channel_);
  }

  absl::Status Open(const std::string& host, uint16_t port);
  absl::StatusOr<std::unique_ptr<Link>> Accept() override;
  int fd() const override { return channel_->fd; }
  uint16_t port() const override { return port_; }
  void OnTick() override;

 private:
  absl::Status Bind();
  absl::StatusOr<std::unique_ptr<Link>> Welcome(rdma_cm_id* id, std::string_view said);

  const std::shared_ptr<RdmaTransport::Parts> parts_;
  std::shared_ptr<RdmaEvents> events_;
  rdma_event_channel* channel_ = nullptr;
  rdma_cm_id* id_ = nullptr;  // null while its device is away
  RdmaAddress address_;
  uint16_t port_ = 0;
};

absl::Status CannotListen(absl::string_view what, int err) {
  const RdmaFailure failure = err == EADDRNOTAVAIL ? RdmaFailure::kNoRoute : RdmaFailure::kNoDevice;
  absl::Status status =
      RdmaError(failure, absl::StrCat("RDMA listen on ", what, ": ", std::strerror(err)));
  return WithErrno(std::move(status), err);
}

absl::Status RdmaListener::Open(const std::string& host, uint16_t port) {
  ASSIGN_OR_RETURN(address_, ParseRdmaAddress(host, port));
  ASSIGN_OR_RETURN(events_, parts_->Events());
  channel_ = NewRdmaChannel();
  if (channel_ == nullptr) return CannotListen(RdmaAddressText(address_.get()), errno);
  RETURN_IF_ERROR(Bind());
  port_ = ntohs(rdma_get_src_port(id_));
  ASSIGN_OR_RETURN(address_, ParseRdmaAddress(host, port_));  // the same one if it comes again
  return absl::OkStatus();
}

absl::Status RdmaListener::Bind() {
  const std::string where = RdmaAddressText(address_.get());
  if (rdma_create_id(channel_, &id_, nullptr, RDMA_PS_TCP) != 0) {
    id_ = nullptr;
    return CannotListen(where, errno);
  }
  if (rdma_bind_addr(id_, address_.get()) == 0 && rdma_listen(id_, kRdmaBacklog) == 0) {
    return absl::OkStatus();
  }
  const int err = errno;
  (void)rdma_destroy_id(std::exchange(id_, nullptr));
  return CannotListen(where, err);
}

void RdmaListener::OnTick() {
  if (id_ == nullptr && Bind().ok()) {
    SPDLOG_INFO("rdma served again address={}", RdmaAddressText(address_.get()));
  }
}

absl::StatusOr<std::unique_ptr<Link>> RdmaListener::Accept() {
  rdma_cm_event* event = nullptr;
  while (rdma_get_cm_event(channel_, &event) == 0) {
    if (event->event != RDMA_CM_EVENT_CONNECT_REQUEST) {
      const bool removed = event->event == RDMA_CM_EVENT_DEVICE_REMOVAL && event->id == id_;
      (void)rdma_ack_cm_event(event);  // else of a peer that left before it was accepted
      if (removed) {
        (void)rdma_destroy_id(std::exchange(id_, nullptr));
        SPDLOG_WARN("rdma device removed address={}", RdmaAddressText(address_.get()));
      }
      continue;
    }
    rdma_cm_id* id = event->id;
    const auto* data = static_cast<const char*>(event->param.conn.private_data);
    const std::string said(data == nullptr ? "" : data,
                           data == nullptr ? 0 : event->param.conn.private_data_len);
    (void)rdma_ack_cm_event(event);
    auto link = Welcome(id, said);
    if (link.ok()) return link;
    if (absl::IsResourceExhausted(link.status())) return link.status();
    // Mostly peers that had left already; one of another version keeps asking.
    SPDLOG_DEBUG("RDMA connection not accepted error=\"{}\"", std::string(link.status().message()));
  }
  return nullptr;
}

// Takes `id`. Who says nothing that makes sense is refused and learns our versions.
absl::StatusOr<std::unique_ptr<Link>> RdmaListener::Welcome(rdma_cm_id* id, std::string_view said) {
  const std::string ours = EncodePrivate({kRdmaReceiveSlots, kRdmaSlotBytes});
  const auto refuse = [&](absl::Status status) {
    (void)rdma_reject(id, ours.data(), static_cast<uint8_t>(ours.size()));
    (void)rdma_destroy_id(id);
    return status;
  };
  const std::string peer_address = RdmaAddressText(rdma_get_peer_addr(id));
  auto peer = DecodePrivate(said);
  if (!peer.ok()) return refuse(Annotate(peer.status(), peer_address));
  auto device = parts_->Device(id->verbs);
  if (!device.ok()) return refuse(device.status());
  auto endpoint = RdmaEndpoint::Create(id, *device, RdmaPeer::kClient);
  if (!endpoint.ok()) return Annotate(endpoint.status(), peer_address);  // destroyed: refused
  (*endpoint)->SetPeer(*peer);
  rdma_conn_param parameters = RdmaConnectionParameters(**device, ours);
  if (rdma_accept(id, &parameters) != 0) {
    return absl::UnavailableError(
        absl::StrCat("accept of ", peer_address, ": ", std::strerror(errno)));
  }
  RETURN_IF_ERROR(events_->Adopt(endpoint->get()));
  return std::make_unique<RdmaLink>(std::move(*endpoint), events_, peer_address);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> ListenRdma(std::shared_ptr<RdmaTransport::Parts> parts,
                                                     const std::string& host, uint16_t port) {
  auto listener = std::make_unique<RdmaListener>(std::move(parts));
  RETURN_IF_ERROR(listener->Open(host, port));
  return listener;
}

}  // namespace penstock::net
