// RdmaEndpoint owns what one RDMA connection consists of: rdma_cm id, queue pair, completion queue
// and channel, and the registered memory of its SENDs and receives. Set-up is in
// rdma_endpoint_setup.cc, posting and polling in rdma_endpoint.cc. Knows nothing of frames. Not
// thread-safe, but for what concerns the id's events (RdmaIdState).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/types/span.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include <atomic>
#include <memory>
#include <string>

#include "common/net/payload_buffer.h"
#include "common/net/rdma_device.h"
#include "common/net/rdma_segment.h"
#include "common/net/rdma_spread.h"

namespace penstock::net {

inline constexpr int kRdmaReceiveSlots = 16;
inline constexpr int kRdmaSendSlots = 16;
inline constexpr uint32_t kRdmaSlotBytes = 4096;
inline constexpr int kRdmaSendQueue = 128;  // work requests: SENDs and transfers

// What the thread of rdma_cm's events and the owner of the connection share; the id's context.
struct RdmaIdState {
  absl::Mutex mu;                                // held while the id is used for disconnecting
  rdma_cm_id* id ABSL_GUARDED_BY(mu) = nullptr;  // null once it is being destroyed
  RdmaDevice* device = nullptr;                  // of the endpoint; constant
  std::atomic<bool> disconnected{false};

  // The peer is gone: everything posted here comes back as flushed, which wakes the owner.
  void OnDisconnected();
};

class RdmaEndpoint {
 public:
  // Takes `id`, which has been bound to a device. On an error the id is destroyed too.
  static absl::StatusOr<std::unique_ptr<RdmaEndpoint>> Create(rdma_cm_id* id,
                                                              std::shared_ptr<RdmaDevice> device,
                                                              RdmaPeer peer);
  // Ends the connection: nothing that was posted, by either side, touches memory afterwards.
  ~RdmaEndpoint();

  RdmaPrivate Announce() const { return {kRdmaReceiveSlots, kRdmaSlotBytes}; }
  void SetPeer(const RdmaPrivate& peer) { peer_ = peer; }
  const RdmaPrivate& peer() const { return peer_; }
  uint32_t segment_bytes() const;  // the longest SEND that both sides have room for

  // Data path. Errors are UNAVAILABLE: the connection is of no use any more.
  absl::Status PostReceive(int slot);
  absl::Span<char> ReceiveSlot(int slot);
  absl::Span<char> SendSlot(int slot);
  struct Signal {
    uint64_t number;  // comes back as wr_id
    bool wanted;      // a completion, also when it went well
  };
  absl::Status PostSend(int slot, uint32_t bytes, Signal signal);
  absl::Status PostTransfer(ibv_wr_opcode opcode, const RdmaTransfer& transfer, uint32_t local_key,
                            Signal signal);
  // Up to `completions.size()` of what has completed; their number.
  absl::StatusOr<size_t> Poll(absl::Span<ibv_wc> completions);
  // Takes the channel's events and asks for the next one. Poll afterwards: what completed before
  // brings no event.
  absl::Status Rearm();

  static constexpr uint64_t kReceiveFlag = uint64_t{1} << 63;  // in wr_id; the rest is the slot

  int fd() const { return channel_->fd; }
  rdma_cm_id* id() const { return id_; }
  RdmaDevice& device() const { return *device_; }
  RdmaPeer peer_class() const { return peer_class_; }
  RdmaIdState& state() { return *state_; }
  bool disconnected() const { return state_->disconnected.load(std::memory_order_acquire); }

 private:
  RdmaEndpoint(rdma_cm_id* id, std::shared_ptr<RdmaDevice> device, RdmaPeer peer);
  absl::Status SetUp();
  absl::Status CreateQueuePair();

  rdma_cm_id* const id_;
  const std::shared_ptr<RdmaDevice> device_;
  const RdmaPeer peer_class_;
  const std::unique_ptr<RdmaIdState> state_;
  ibv_comp_channel* channel_ = nullptr;
  ibv_cq* completions_ = nullptr;
  uint32_t inline_bytes_ = 0;
  PayloadBuffer slots_;             // receives, then SENDs
  ibv_mr* slots_region_ = nullptr;  // the device's
  RdmaPrivate peer_;
};

}  // namespace penstock::net
