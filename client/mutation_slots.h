// MutationSlots gives each mutation a slot and a sequence, so that the metaserver carries it out
// once, however often it is sent (metaserver/session/slots.cc). Thread-safe.
//
// The sequences may lie in memory that outlives this process. Then a request that comes again after
// a crash finds the slot that it had: it is sent once more as it was and gets its first answer. A
// request keeps its slot until it is answered, so that nobody else's mutation takes the record
// away.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "client/op_context.h"
#include "common/ids.h"
#include "proto/rpc.pb.h"

namespace penstock::client {

inline constexpr uint32_t kMutationSlots = 32;

// What outlives the client. `request` is written last: a torn record is one of no request.
struct SlotRecord {
  std::atomic<uint64_t> request{0};   // RepeatableRequest::number; 0: answered, or nobody's
  std::atomic<uint64_t> sequence{0};  // the newest of this slot
  std::atomic<uint64_t> session{0};   // under which it was sent
  std::atomic<uint64_t> method{0};
};
using SlotRecords = std::array<SlotRecord, kMutationSlots>;

class MutationSlots {
 public:
  // `records` must outlive the slots; nullptr: of this process only.
  explicit MutationSlots(SlotRecords* records);

  struct Turn {
    uint32_t slot = 0;
    uint64_t sequence = 0;
    SessionId sent_before;  // valid: an earlier client sent exactly this under that session
  };
  struct Want {
    wire::Method method = wire::METHOD_NONE;
    SessionId session;
    absl::Duration timeout;
  };
  absl::StatusOr<Turn> Take(const Want& want, const OpContext& op);
  // The mutation has its result. A request's slot stays its own until the request is answered.
  void Done(const Turn& turn, const OpContext& op);

 private:
  static constexpr absl::Duration kReservedFor = absl::Seconds(5);
  absl::StatusOr<uint32_t> TakeFree(absl::Duration timeout, const OpContext& op);
  void FreeReserved() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Reclaim(RepeatableRequest& request);
  void Keep(RepeatableRequest& request, uint32_t slot);
  void Give(uint32_t slot);

  const std::unique_ptr<SlotRecords> own_;
  SlotRecords& records_;
  absl::Mutex mu_;
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mu_);  // taken from the back
  // Those that an earlier client left unanswered wait for their requests to come again: one that
  // does not (its caller was killed, or the kernel does not give requests again) is free then.
  std::vector<uint32_t> reserved_ ABSL_GUARDED_BY(mu_);
  const absl::Time reserved_until_ = absl::Now() + kReservedFor;
};

}  // namespace penstock::client
