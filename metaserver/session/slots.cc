// The part of SessionTable that makes a retried mutation return its first result.
#include "common/status.h"
#include "metaserver/session/session_table.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {
namespace {

absl::Status CheckOrder(bool running, uint64_t last, uint64_t sequence) {
  if (running) return absl::AbortedError("the slot's last request is still under way");
  if (sequence < last) {
    return WithReason(absl::FailedPreconditionError("a newer request used the slot"),
                      Reason::kOldSequence);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SlotResult> SessionTable::ReadSlot(const wire::MetaContext& context) const {
  auto record =
      store_->Get(Family::kSession, SlotKey(SessionId(context.session_id()), context.slot()));
  if (absl::IsNotFound(record.status())) return SlotResult();
  RETURN_IF_ERROR(record.status());
  return DecodeSlotResult(*record);
}

absl::StatusOr<std::optional<std::string>> SessionTable::BeginMutation(
    const wire::MetaContext& context) {
  const SessionId id(context.session_id());
  if (context.sequence() == 0) {  // not to be repeated
    RETURN_IF_ERROR(Check(context));
    return std::optional<std::string>();
  }
  if (context.slot() >= kSlotsPerSession) return absl::InvalidArgumentError("no such slot");
  bool need_record = false;
  {
    absl::MutexLock lock(&mu_);
    ASSIGN_OR_RETURN(Session* const session, FindLive(id));
    RETURN_IF_ERROR(session->client.Check(context.client()));
    Slot& slot = session->slots[context.slot()];
    RETURN_IF_ERROR(CheckOrder(slot.running, slot.sequence, context.sequence()));
    if (slot.sequence == context.sequence() && !slot.failure.ok()) return slot.failure;
    need_record = !slot.loaded || slot.sequence == context.sequence();
    slot.running = true;  // from here on a repeat waits
    if (!need_record) {
      slot.sequence = context.sequence();
      slot.failure = absl::OkStatus();
    }
  }
  if (!need_record) return std::optional<std::string>();
  auto record = ReadSlot(context);
  absl::MutexLock lock(&mu_);
  Session* const session = Find(id);  // a session with a running slot stays
  INVARIANT(session != nullptr);
  Slot& slot = session->slots[context.slot()];
  slot.running = false;
  RETURN_IF_ERROR(LiveStatus(session));  // ended meanwhile
  RETURN_IF_ERROR(record.status());
  slot.loaded = true;
  slot.sequence = std::max(slot.sequence, record->sequence);
  RETURN_IF_ERROR(CheckOrder(false, slot.sequence, context.sequence()));
  if (record->sequence == context.sequence()) return std::optional(std::move(record->response));
  slot.running = true;
  slot.sequence = context.sequence();
  slot.failure = absl::OkStatus();
  return std::optional<std::string>();
}

absl::Status SessionTable::BeginApply(const wire::MetaContext& context) {
  if (context.client() == 0) return absl::OkStatus();
  absl::MutexLock lock(&mu_);
  Session* const session = Find(SessionId(context.session_id()));
  if (session == nullptr) return absl::OkStatus();  // only one without a slot
  if (session->client.IsAfter(context.client())) {
    return absl::AbortedError("a later client goes on with the session");
  }
  if (context.sequence() != 0) session->slots[context.slot()].applying = context.client();
  return absl::OkStatus();
}

void SessionTable::EndApply(const wire::MetaContext& context) {
  if (context.sequence() == 0) return;
  absl::MutexLock lock(&mu_);
  Session* const session = Find(SessionId(context.session_id()));
  INVARIANT(session != nullptr);  // a session with a running slot stays
  session->slots[context.slot()].applying = 0;
}

void SessionTable::EndMutation(const wire::MetaContext& context, const absl::Status& status,
                               bool recorded) {
  if (context.sequence() == 0) return;
  absl::MutexLock lock(&mu_);
  Session* const session = Find(SessionId(context.session_id()));
  INVARIANT(session != nullptr);
  Slot& slot = session->slots[context.slot()];
  slot.running = false;
  slot.applying = 0;
  // "Try again" is not a result: the repeat runs afresh. So does one that changed no record.
  if (!recorded && !status.ok() && !IsRetryable(status)) slot.failure = status;
}

}  // namespace penstock::metaserver
