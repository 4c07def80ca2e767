#include "metaserver/locks/lock_replies.h"

#include "common/status.h"

namespace penstock::metaserver {

std::optional<LockReply> LockReplies::Repeat(const wire::MetaContext& context) const {
  if (context.sequence() == 0) return std::nullopt;
  if (context.slot() >= kSlots) return LockReply{absl::InvalidArgumentError("no such slot")};
  const Slot& slot = slots_[context.slot()];
  if (context.sequence() > slot.sequence) return std::nullopt;
  if (context.sequence() == slot.sequence) return slot.reply;
  return LockReply{WithReason(absl::FailedPreconditionError("a newer request used the slot"),
                              Reason::kOldSequence)};
}

void LockReplies::Record(const wire::MetaContext& context, const LockReply& reply) {
  // "Try again" is not a result: the repeat runs afresh.
  if (context.sequence() == 0 || IsRetryable(reply.status)) return;
  slots_[context.slot()] = {context.sequence(), reply};
}

std::optional<uint32_t> LockReplies::AnswerOf(uint64_t ticket) const {
  auto it = answers_.find(ticket);
  if (it == answers_.end()) return std::nullopt;
  return it->second;
}

void LockReplies::Answered(uint64_t ticket, uint32_t err) {
  if (!answers_.insert_or_assign(ticket, err).second) return;
  order_.push_back(ticket);
  if (order_.size() <= kMaxTickets) return;
  answers_.erase(order_.front());
  order_.pop_front();
}

}  // namespace penstock::metaserver
