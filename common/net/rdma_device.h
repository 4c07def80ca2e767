// RdmaDevice: one RDMA device as the process uses it: its limits, a protection domain for each
// class of peers, and the registrations of payload blocks (made once, kept as long as the block).
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <infiniband/verbs.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/net/payload_pool.h"

namespace penstock::net {

// Who is at the other end. Keys are worth something inside one protection domain only: what this
// process lets a server reach, none of its own clients can name.
enum class RdmaPeer { kClient, kServer };

// What a registration allows the peer.
enum class RdmaReach { kNone, kReadAndWrite };

class RdmaDevice : public PayloadPoolWatcher {
 public:
  // `context` belongs to librdmacm and must outlive the device. UNAVAILABLE: the device refuses.
  static absl::StatusOr<std::shared_ptr<RdmaDevice>> Open(ibv_context* context);
  ~RdmaDevice() override;

  ibv_context* context() const { return context_; }
  std::string name() const { return ibv_get_device_name(context_->device); }
  bool iwarp() const { return context_->device->transport_type == IBV_TRANSPORT_IWARP; }
  ibv_pd* domain(RdmaPeer peer) const { return domains_[static_cast<int>(peer)]; }
  int most_reads_in_flight() const { return most_reads_in_flight_; }

  // The registration of the payload block that these bytes lie in; it is made when there is none
  // yet. NOT_FOUND: the memory is of no block. RESOURCE_EXHAUSTED: the limit of locked memory, or
  // the device's. Valid as long as the block is in use.
  absl::StatusOr<ibv_mr*> Register(RdmaPeer peer, RdmaReach reach, const void* at, size_t bytes);
  size_t registrations() const;

  // The device was removed. Its verbs objects are the kernel's to clean up: librdmacm closes the
  // context with the last connection, and nothing of it may be touched afterwards.
  void MarkDead() { dead_.store(true, std::memory_order_release); }
  bool dead() const { return dead_.load(std::memory_order_acquire); }

  void OnFree(const PayloadBlock& block) override;

 private:
  explicit RdmaDevice(ibv_context* context) : context_(context) {}

  ibv_context* const context_;  // not owned
  ibv_pd* domains_[2] = {nullptr, nullptr};
  int most_reads_in_flight_ = 1;
  std::atomic<bool> dead_{false};
  using Kind = std::pair<RdmaPeer, RdmaReach>;
  mutable absl::Mutex mu_;  // held while the kernel pins pages: others wait for the same anyway
  std::map<char*, std::map<Kind, ibv_mr*>> regions_ ABSL_GUARDED_BY(mu_);  // by block
};

}  // namespace penstock::net
