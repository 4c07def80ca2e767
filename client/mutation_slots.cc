#include "client/mutation_slots.h"

#include <absl/time/clock.h>

#include <algorithm>

#include "client/wait.h"
#include "common/status.h"

namespace penstock::client {
namespace {

// Each of these is sent once for a request of the kernel, and doing it twice would show (EEXIST,
// ENOENT). The others are the same when they are done again.
bool ShowsWhenDoneTwice(wire::Method method) {
  switch (method) {
    case wire::METHOD_CREATE:
    case wire::METHOD_MKDIR:
    case wire::METHOD_MKNOD:
    case wire::METHOD_SYMLINK:
    case wire::METHOD_LINK:
    case wire::METHOD_UNLINK:
    case wire::METHOD_RMDIR:
    case wire::METHOD_RENAME:
    case wire::METHOD_SETXATTR:
    case wire::METHOD_REMOVEXATTR:
      return true;
    default:
      return false;
  }
}

}  // namespace

MutationSlots::MutationSlots(SlotRecords* records)
    : own_(records == nullptr ? std::make_unique<SlotRecords>() : nullptr),
      records_(records == nullptr ? *own_ : *records) {
  for (uint32_t slot = kMutationSlots; slot > 0; --slot) {
    const bool unanswered = records_[slot - 1].request.load() != 0;
    (unanswered ? reserved_ : free_).push_back(slot - 1);
  }
}

absl::StatusOr<MutationSlots::Turn> MutationSlots::Take(const Want& want, const OpContext& op) {
  RepeatableRequest* const request = op.request;
  Turn turn;
  const bool reclaimed = request != nullptr && request->slot < 0 && Reclaim(*request);
  if (request != nullptr && request->slot >= 0) {
    turn.slot = static_cast<uint32_t>(request->slot);
  } else {
    ASSIGN_OR_RETURN(turn.slot, TakeFree(want.timeout, op));
    if (request != nullptr) Keep(*request, turn.slot);
  }
  SlotRecord& record = records_[turn.slot];
  const auto method = static_cast<uint64_t>(want.method);
  if (reclaimed && record.method.load() == method && ShowsWhenDoneTwice(want.method)) {
    turn.sequence = record.sequence.load();
    turn.sent_before = SessionId(record.session.load());
    request->answer_is_old = true;
    return turn;
  }
  // Under the same slot, so that what an earlier client sent is refused if it comes later.
  record.request.store(0);
  turn.sequence = record.sequence.load() + 1;
  record.sequence.store(turn.sequence);
  record.session.store(want.session.value());
  record.method.store(method);
  if (request != nullptr) record.request.store(request->number);
  return turn;
}

bool MutationSlots::Reclaim(RepeatableRequest& request) {
  if (!request.again) return false;
  absl::MutexLock lock(&mu_);
  const auto mine = [&](uint32_t slot) { return records_[slot].request.load() == request.number; };
  for (std::vector<uint32_t>* slots : {&reserved_, &free_}) {
    const auto at = std::find_if(slots->begin(), slots->end(), mine);
    if (at == slots->end()) continue;
    Keep(request, *at);
    slots->erase(at);
    return true;
  }
  return false;
}

void MutationSlots::FreeReserved() {
  if (reserved_.empty() || absl::Now() < reserved_until_) return;
  free_.insert(free_.begin(), reserved_.begin(), reserved_.end());
  reserved_.clear();
}

void MutationSlots::Keep(RepeatableRequest& request, uint32_t slot) {
  request.slot = static_cast<int>(slot);
  request.give_back = [this, slot] { Give(slot); };
}

void MutationSlots::Done(const Turn& turn, const OpContext& op) {
  if (op.request == nullptr) Give(turn.slot);
}

absl::StatusOr<uint32_t> MutationSlots::TakeFree(absl::Duration timeout, const OpContext& op) {
  absl::MutexLock lock(&mu_);
  FreeReserved();
  auto any_free = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !free_.empty(); };
  const absl::Duration first = reserved_.empty() ? timeout : std::min(timeout, kReservedFor);
  absl::Status freed = WaitUntil(&mu_, any_free, first, op);
  if (!freed.ok() && first < timeout) {
    FreeReserved();
    freed = WaitUntil(&mu_, any_free, timeout - first, op);
  }
  RETURN_IF_ERROR(freed);
  const uint32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

void MutationSlots::Give(uint32_t slot) {
  records_[slot].request.store(0);
  absl::MutexLock lock(&mu_);
  free_.push_back(slot);
}

}  // namespace penstock::client
