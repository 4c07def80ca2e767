// LockReplies makes repeated lock requests of one session harmless. A request names its slot and
// sequence like every mutation: a repeat of the slot's last one gets its first answer and an older
// one is refused, so a request that was delayed on a dead connection cannot lock again what was
// unlocked since. Besides, the answers of the last waits are kept by ticket, for who asks again.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>

#include <array>
#include <cstdint>
#include <deque>
#include <optional>

#include "proto/meta.pb.h"

namespace penstock::metaserver {

struct LockReply {
  absl::Status status;
  bool queued = false;
};

class LockReplies {
 public:
  static constexpr uint32_t kSlots = 32;
  static constexpr size_t kMaxTickets = 1024;  // answered waits that are remembered

  // nullopt: a new request, to be carried out. `context` with sequence 0 is always new.
  std::optional<LockReply> Repeat(const wire::MetaContext& context) const;
  void Record(const wire::MetaContext& context, const LockReply& reply);

  std::optional<uint32_t> AnswerOf(uint64_t ticket) const;  // an errno, 0: granted
  void Answered(uint64_t ticket, uint32_t err);

 private:
  struct Slot {
    uint64_t sequence = 0;
    LockReply reply;
  };
  std::array<Slot, kSlots> slots_;
  absl::flat_hash_map<uint64_t, uint32_t> answers_;
  std::deque<uint64_t> order_;  // of answers_, oldest first
};

}  // namespace penstock::metaserver
