// The data path of RdmaEndpoint.
#include "common/net/rdma_endpoint.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/status.h"

namespace penstock::net {
namespace {

// Providers return an errno, some of them negated.
absl::Status CannotPost(absl::string_view what, int err) {
  return absl::UnavailableError(absl::StrCat("RDMA: ", what, ": ", std::strerror(std::abs(err))));
}

uint64_t VerbsAddress(const void* at) { return reinterpret_cast<uint64_t>(at); }

}  // namespace

uint32_t RdmaEndpoint::segment_bytes() const { return std::min(kRdmaSlotBytes, peer_.slot_bytes); }

absl::Span<char> RdmaEndpoint::ReceiveSlot(int slot) {
  INVARIANT(slot >= 0 && slot < kRdmaReceiveSlots);
  return slots_.span().subspan(static_cast<size_t>(slot) * kRdmaSlotBytes, kRdmaSlotBytes);
}

absl::Span<char> RdmaEndpoint::SendSlot(int slot) {
  INVARIANT(slot >= 0 && slot < kRdmaSendSlots);
  return slots_.span().subspan(static_cast<size_t>(kRdmaReceiveSlots + slot) * kRdmaSlotBytes,
                               kRdmaSlotBytes);
}

absl::Status RdmaEndpoint::PostReceive(int slot) {
  ibv_sge where{VerbsAddress(ReceiveSlot(slot).data()), kRdmaSlotBytes, slots_region_->lkey};
  ibv_recv_wr request{};
  request.wr_id = kReceiveFlag | static_cast<uint64_t>(slot);
  request.sg_list = &where;
  request.num_sge = 1;
  ibv_recv_wr* bad = nullptr;
  const int err = ibv_post_recv(id_->qp, &request, &bad);
  return err == 0 ? absl::OkStatus() : CannotPost("receive", err);
}

absl::Status RdmaEndpoint::PostSend(int slot, uint32_t bytes, Signal signal) {
  ibv_sge what{VerbsAddress(SendSlot(slot).data()), bytes, slots_region_->lkey};
  ibv_send_wr request{};
  request.wr_id = signal.number;
  request.opcode = IBV_WR_SEND;
  request.sg_list = &what;
  request.num_sge = 1;
  request.send_flags = signal.wanted ? IBV_SEND_SIGNALED : 0;
  if (bytes <= inline_bytes_) request.send_flags |= IBV_SEND_INLINE;
  ibv_send_wr* bad = nullptr;
  const int err = ibv_post_send(id_->qp, &request, &bad);
  return err == 0 ? absl::OkStatus() : CannotPost("send", err);
}

absl::Status RdmaEndpoint::PostTransfer(ibv_wr_opcode opcode, const RdmaTransfer& transfer,
                                        uint32_t local_key, Signal signal) {
  ibv_sge here{VerbsAddress(transfer.local), transfer.bytes, local_key};
  ibv_send_wr request{};
  request.wr_id = signal.number;
  request.opcode = opcode;
  request.sg_list = &here;
  request.num_sge = 1;
  request.send_flags = signal.wanted ? IBV_SEND_SIGNALED : 0;
  request.wr.rdma.remote_addr = transfer.remote;
  request.wr.rdma.rkey = transfer.remote_key;
  ibv_send_wr* bad = nullptr;
  const int err = ibv_post_send(id_->qp, &request, &bad);
  return err == 0 ? absl::OkStatus() : CannotPost("transfer", err);
}

absl::StatusOr<size_t> RdmaEndpoint::Poll(absl::Span<ibv_wc> completions) {
  const int count =
      ibv_poll_cq(completions_, static_cast<int>(completions.size()), completions.data());
  if (count < 0) return CannotPost("completion queue", EIO);
  return static_cast<size_t>(count);
}

absl::Status RdmaEndpoint::Rearm() {
  ibv_cq* queue = nullptr;
  void* context = nullptr;
  unsigned events = 0;
  while (ibv_get_cq_event(channel_, &queue, &context) == 0) ++events;
  if (events == 0) return absl::OkStatus();  // still armed
  ibv_ack_cq_events(completions_, events);
  if (const int err = ibv_req_notify_cq(completions_, 0); err != 0) {
    return CannotPost("completion queue", err);
  }
  return absl::OkStatus();
}

}  // namespace penstock::net
