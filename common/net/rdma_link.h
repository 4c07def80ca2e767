// RdmaLink: a Link over one RDMA connection (docs/formats/wire.md, "RDMA"). Heads and short
// payloads travel as a stream of bytes in SENDs; longer payloads are read and written by the server
// in the client's registered memory. One lock serves both directions: what completes for one may be
// found by the other's thread.
//
// fd() stays readable until Ready() has taken its events, so a completion that another thread
// finds first never lets the owner sleep.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/net/frame_reader.h"
#include "common/net/rdma_credits.h"
#include "common/net/rdma_endpoint.h"
#include "common/net/rdma_events.h"
#include "common/net/transport.h"

namespace penstock::net {

constexpr uint32_t kLongestTransfer = 1 << 20;  // of one work request, bytes

class RdmaLink : public Link {
 public:
  // `events` must outlive the link. `endpoint` is adopted by them and knows its peer.
  RdmaLink(std::unique_ptr<RdmaEndpoint> endpoint, std::shared_ptr<RdmaEvents> events,
           std::string peer_address);
  ~RdmaLink() override;

  void SetLimits(const FrameLimits& limits) override;
  absl::StatusOr<Progress> Send(OutgoingFrame* frame) override;
  absl::StatusOr<Progress> ReceiveHead() override;
  absl::StatusOr<Progress> ReceivePayload(IncomingPayload* payload) override;
  absl::Status NextFrame() override;
  const FrameHeader& header() const override;
  std::string_view message() const override;
  bool has_buffered() const override;
  absl::StatusOr<Progress> Linger() override;
  bool Stale() override;
  uint32_t WaitEvents(uint32_t wanted) const override;
  uint32_t Ready(uint32_t events) override;
  int fd() const override;
  void Close() override;
  const std::string& peer_address() const override { return peer_address_; }
  bool is_rdma() const override { return true; }

 private:
  // A posted work request of the send queue; they complete in order.
  struct Work {
    int slot = -1;            // the send slot that it uses
    uint64_t read_bytes = 0;  // of an RDMA READ
    bool foreign = false;     // touches memory that is not the link's
    PayloadBuffer keep;       // memory to keep until then
  };
  // A received segment that has not been taken wholly; its bytes lie in the slot.
  struct Arrived {
    int slot;
    Segment segment;
    bool begun = false;  // its first bytes went to the reader
  };
  // Registered memory, and the pieces of it that a payload uses.
  struct Memory {
    std::vector<iovec> parts;
    absl::InlinedVector<ibv_mr*, 2> regions;  // one a part
    PayloadBuffer bounce;  // when the caller's memory is not registered: stands for it
  };
  // Client: memory that the server may reach until the reply is here.
  struct Exposed {
    Memory sources;
    Memory sinks;
  };
  // Server: where the reply to a request may be written.
  struct Sinks {
    RemotePieces pieces;
    absl::Time deadline;
  };
  // The frame being sent.
  struct Outgoing {
    bool active = false;
    Segment first;  // what its first segment says
    Memory from;    // of the writes
    std::vector<RdmaTransfer> writes;
    size_t next_write = 0;
    PayloadBuffer keep;       // owns the memory of `from`, when that is not its bounce buffer
    uint64_t await_work = 0;  // caller's memory: done once this work is
    bool payload_inline = false;
    size_t stream_bytes = 0;  // to be sent in segments
    size_t stream_sent = 0;
  };
  // The payload being read by RDMA.
  struct Reading {
    bool active = false;
    Memory into;
    std::vector<RdmaTransfer> reads;
    size_t next_read = 0;
    uint64_t total = 0;
    uint64_t done = 0;
  };

  bool server() const { return role_ == RdmaPeer::kClient; }
  absl::Status Broken(absl::string_view what) const;
  absl::Status Fail(absl::Status why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // rdma_link.cc: completions.
  absl::Status PollLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status OnReceived(int slot, uint32_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnWorkDone(uint64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Repost(int slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status SendUpdateIfDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Post(Segment* segment, absl::Span<const iovec> stream, bool signal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  RdmaEndpoint::Signal NextSignal(bool wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool QueueHasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool ForeignMemoryInUse() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // rdma_link_send.cc
  absl::Status Plan(OutgoingFrame* frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PlanRequest(OutgoingFrame* frame, uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status PlanReply(OutgoingFrame* frame, uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<Progress> PostWrites(OutgoingFrame* frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<Progress> PostSegments(OutgoingFrame* frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // rdma_link_receive.cc
  absl::Status Feed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CheckSegment(const Segment& segment) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CheckHead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status DropArrived() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status EndOfStream() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<Progress> TakeWritten(IncomingPayload* payload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<Progress> TakeStream(IncomingPayload* payload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<Progress> ReadSources(IncomingPayload* payload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Registered memory for `parts`: themselves, or a bounce buffer as long. Empty parts: neither.
  Memory MemoryFor(absl::Span<const iovec> parts, RdmaReach reach)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::shared_ptr<RdmaEvents> events_;
  const std::string peer_address_;
  const RdmaPeer role_;  // of the other side

  mutable absl::Mutex mu_;
  std::unique_ptr<RdmaEndpoint> endpoint_ ABSL_GUARDED_BY(mu_);  // null once closed
  RdmaCredits credits_ ABSL_GUARDED_BY(mu_);
  absl::Status broken_ ABSL_GUARDED_BY(mu_);  // the first error
  bool goodbye_sent_ ABSL_GUARDED_BY(mu_) = false;
  bool goodbye_received_ ABSL_GUARDED_BY(mu_) = false;

  // Sending.
  std::deque<Work> works_ ABSL_GUARDED_BY(mu_);   // posted, not known to be done
  uint64_t first_work_ ABSL_GUARDED_BY(mu_) = 1;  // the number of works_.front()
  int unsignalled_ ABSL_GUARDED_BY(mu_) = 0;      // since the last signalled one
  std::vector<int> free_slots_ ABSL_GUARDED_BY(mu_);
  Outgoing outgoing_ ABSL_GUARDED_BY(mu_);

  // Receiving. The reader belongs to the receiving thread.
  FrameReader reader_;
  FrameLimits limits_ ABSL_GUARDED_BY(mu_) = kHandshakeLimits;
  std::deque<Arrived> arrived_ ABSL_GUARDED_BY(mu_);  // at most the receive slots
  Segment current_ ABSL_GUARDED_BY(mu_);              // what the current frame's segment said
  bool head_checked_ ABSL_GUARDED_BY(mu_) = false;
  Reading reading_ ABSL_GUARDED_BY(mu_);

  absl::flat_hash_map<uint64_t, Exposed> exposed_ ABSL_GUARDED_BY(mu_);  // by request id
  absl::flat_hash_map<uint64_t, Sinks> sinks_ ABSL_GUARDED_BY(mu_);      // by request id
};

}  // namespace penstock::net
