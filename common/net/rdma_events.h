// RdmaEvents: the thread that hears of what happens to established RDMA connections (the peer is
// gone, the device is removed), and that sees closed ones off: what they had still to send goes out
// for a moment before they end. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <rdma/rdma_cma.h>

#include <memory>
#include <thread>
#include <vector>

#include "common/net/payload_buffer.h"
#include "common/net/rdma_endpoint.h"

namespace penstock::net {

// A closed connection that still sends.
struct RdmaLeaver {
  std::unique_ptr<RdmaEndpoint> endpoint;
  std::vector<PayloadBuffer> memory;  // that its work requests read from
  uint64_t last_send = 0;             // once this one has completed, it may end
  absl::Duration deadline;            // on Clock::SinceBoot(); it ends then at the latest
};

class RdmaEvents {
 public:
  static absl::StatusOr<std::unique_ptr<RdmaEvents>> Start();
  ~RdmaEvents();  // ends the leavers

  // From now on the events of this endpoint's id come here.
  absl::Status Adopt(RdmaEndpoint* endpoint);
  void SeeOff(RdmaLeaver leaver);

 private:
  RdmaEvents(rdma_event_channel* channel, int wake_fd);
  void Run();
  void TakeEvents();
  void EndLeavers(absl::Duration now);

  rdma_event_channel* const channel_;
  const int wake_fd_;
  std::vector<RdmaLeaver> leaving_;  // of the thread
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<RdmaLeaver> arrived_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

// A channel that never blocks; null with errno.
rdma_event_channel* NewRdmaChannel();

}  // namespace penstock::net
