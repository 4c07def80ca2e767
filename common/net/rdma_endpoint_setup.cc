// Making and ending an RdmaEndpoint.
#include <absl/strings/str_cat.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/net/rdma_endpoint.h"
#include "common/net/rdma_failure.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr uint32_t kInlineSendBytes = 220;  // of a SEND; asked for, not every device has it
constexpr int kCompletions = kRdmaSendQueue + kRdmaReceiveSlots + 16;

absl::Status CannotSetUp(absl::string_view what, int err) {
  return RdmaError(err == ENOMEM ? RdmaFailure::kLockedMemory : RdmaFailure::kNoDevice,
                   absl::StrCat(what, ": ", std::strerror(err)));
}

}  // namespace

void RdmaIdState::OnDisconnected() {
  absl::MutexLock lock(&mu);
  disconnected.store(true, std::memory_order_release);
  if (id == nullptr || id->qp == nullptr) return;
  if (rdma_disconnect(id) == 0) return;
  ibv_qp_attr error{};  // never was connected: only the queue pair is to be told
  error.qp_state = IBV_QPS_ERR;
  (void)ibv_modify_qp(id->qp, &error, IBV_QP_STATE);
}

RdmaEndpoint::RdmaEndpoint(rdma_cm_id* id, std::shared_ptr<RdmaDevice> device, RdmaPeer peer)
    : id_(id),
      device_(std::move(device)),
      peer_class_(peer),
      state_(std::make_unique<RdmaIdState>()) {
  absl::MutexLock lock(&state_->mu);
  state_->id = id;
  state_->device = device_.get();
}

absl::StatusOr<std::unique_ptr<RdmaEndpoint>> RdmaEndpoint::Create(
    rdma_cm_id* id, std::shared_ptr<RdmaDevice> device, RdmaPeer peer) {
  std::unique_ptr<RdmaEndpoint> endpoint(new RdmaEndpoint(id, std::move(device), peer));
  RETURN_IF_ERROR(endpoint->SetUp());
  return endpoint;
}

absl::Status RdmaEndpoint::SetUp() {
  slots_ = PayloadBuffer::Allocate((kRdmaReceiveSlots + kRdmaSendSlots) * kRdmaSlotBytes);
  ASSIGN_OR_RETURN(slots_region_,
                   device_->Register(peer_class_, RdmaReach::kNone, slots_.data(), slots_.size()));
  channel_ = ibv_create_comp_channel(device_->context());
  if (channel_ == nullptr) return CannotSetUp("completion channel", errno);
  if (fcntl(channel_->fd, F_SETFL, fcntl(channel_->fd, F_GETFL) | O_NONBLOCK) != 0 ||
      fcntl(channel_->fd, F_SETFD, FD_CLOEXEC) != 0) {
    return CannotSetUp("completion channel", errno);
  }
  completions_ = ibv_create_cq(device_->context(), kCompletions, nullptr, channel_, 0);
  if (completions_ == nullptr) return CannotSetUp("completion queue", errno);
  if (const int err = ibv_req_notify_cq(completions_, 0); err != 0) {
    return CannotSetUp("completion queue", err);
  }
  RETURN_IF_ERROR(CreateQueuePair());
  for (int slot = 0; slot < kRdmaReceiveSlots; ++slot) RETURN_IF_ERROR(PostReceive(slot));
  return absl::OkStatus();
}

absl::Status RdmaEndpoint::CreateQueuePair() {
  for (uint32_t inline_bytes : {kInlineSendBytes, 64u, 0u}) {
    ibv_qp_init_attr attributes{};
    attributes.qp_type = IBV_QPT_RC;
    attributes.send_cq = attributes.recv_cq = completions_;
    attributes.cap.max_send_wr = kRdmaSendQueue;
    attributes.cap.max_recv_wr = kRdmaReceiveSlots;
    attributes.cap.max_send_sge = attributes.cap.max_recv_sge = 1;
    attributes.cap.max_inline_data = inline_bytes;
    if (rdma_create_qp(id_, device_->domain(peer_class_), &attributes) == 0) {
      inline_bytes_ = inline_bytes;
      return absl::OkStatus();
    }
  }
  return CannotSetUp("queue pair", errno);
}

RdmaEndpoint::~RdmaEndpoint() {
  {
    absl::MutexLock lock(&state_->mu);
    state_->id = nullptr;
  }
  if (id_->qp != nullptr) {
    (void)rdma_disconnect(id_);  // tells the peer; an error: there is none
    rdma_destroy_qp(id_);
  }
  if (completions_ != nullptr) (void)ibv_destroy_cq(completions_);
  if (channel_ != nullptr) (void)ibv_destroy_comp_channel(channel_);
  (void)rdma_destroy_id(id_);  // waits until the event thread has let go of the id's events
}

}  // namespace penstock::net
