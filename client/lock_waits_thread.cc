// The part of LockWaits that its thread runs.
#include <absl/time/clock.h>
#include <spdlog/spdlog.h>

#include <cerrno>

#include "client/lock_waits.h"
#include "common/status.h"

namespace penstock::client {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);  // for what comes due by itself

}  // namespace

void LockWaits::Run() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      const auto called = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
        return stopping_ || !interrupted_.empty();
      };
      mu_.AwaitWithTimeout(absl::Condition(&called), kTick);
      if (stopping_) return;
    }
    CancelInterrupted();
    if (Away()) continue;
    CancelAbandoned();
    RunRepairs();
    AskAgain();
  }
}

OpContext LockWaits::Op() const {
  OpContext op;
  op.interrupt = &stop_;
  op.timeout = options_.call_timeout;
  return op;
}

bool LockWaits::Away() const {
  absl::MutexLock lock(&mu_);
  return absl::Now() < away_until_;
}

void LockWaits::NoteAway() {
  absl::MutexLock lock(&mu_);
  away_until_ = absl::Now() + options_.call_timeout;
}

absl::StatusOr<bool> LockWaits::Cancel(const Abandoned& wait) {
  wire::CancelLockRequest request;
  request.set_ino(wait.lock.ino());
  request.set_ticket(wait.ticket);
  auto response = meta_->Query<wire::CancelLockResponse>(wire::METHOD_CANCEL_LOCK, request, Op());
  RETURN_IF_ERROR(response.status());
  return response->granted();
}

std::optional<wire::FileLock> LockWaits::LockOf(uint64_t ticket) const {
  absl::MutexLock guard(&mu_);
  const auto it = waits_.find(ticket);
  if (it == waits_.end() || it->second.status) return std::nullopt;
  return it->second.lock;
}

void LockWaits::CancelInterrupted() {
  while (true) {
    Abandoned wait;
    {
      absl::MutexLock guard(&mu_);
      if (interrupted_.empty() || stopping_) return;
      wait.ticket = interrupted_.front();
      interrupted_.pop_front();
    }
    const auto lock = LockOf(wait.ticket);
    if (!lock) continue;  // answered meanwhile
    wait.lock = *lock;
    absl::StatusOr<bool> granted = absl::UnavailableError("not asked");
    if (!Away()) granted = Cancel(wait);
    if (granted.ok() && *granted) {
      Finish(wait.ticket, absl::OkStatus());
      continue;
    }
    Finish(wait.ticket, PosixError(EINTR, "a signal ended the wait for a lock"));
    if (granted.ok()) continue;
    if (absl::IsNotFound(granted.status())) {
      Repair(wait.lock);
      continue;
    }
    NoteAway();
    table_->Doubt(wait.lock);
    absl::MutexLock guard(&mu_);
    abandoned_.push_back(wait);
  }
}

void LockWaits::CancelAbandoned() {
  while (true) {
    Abandoned wait;
    {
      absl::MutexLock guard(&mu_);
      if (abandoned_.empty() || stopping_) return;
      wait = abandoned_.front();
    }
    const absl::StatusOr<bool> granted = Cancel(wait);
    if (!granted.ok() && !absl::IsNotFound(granted.status())) return NoteAway();
    {
      absl::MutexLock guard(&mu_);
      // A lost session takes them all away.
      if (!abandoned_.empty() && abandoned_.front().ticket == wait.ticket) abandoned_.pop_front();
    }
    if (!granted.ok() || *granted) Repair(wait.lock);
  }
}

void LockWaits::RunRepairs() {
  while (true) {
    wire::FileLock lock;
    {
      absl::MutexLock guard(&mu_);
      if (repairs_.empty() || stopping_) return;
      lock = std::move(repairs_.front());
      repairs_.pop_front();
    }
    const uint64_t losses = table_->losses();
    if (RepairOne(lock).ok()) continue;
    NoteAway();
    if (table_->losses() == losses) Repair(lock);
    return;
  }
}

absl::Status LockWaits::RepairOne(const wire::FileLock& lock) {
  for (const wire::FileLock& piece : table_->Pieces(lock)) {
    wire::SetLockRequest request;
    *request.mutable_lock() = piece;
    const absl::Status status =
        meta_->Mutate<wire::SetLockResponse>(wire::METHOD_SET_LOCK, request, Op()).status();
    if (!IsDecision(status)) return status;
    if (status.ok()) continue;
    SPDLOG_WARN("lock lost ino={} start={} end={} error={}", piece.ino(), piece.start(),
                piece.end(), status.ToString());
    wire::FileLock none = piece;
    none.set_type(wire::LOCK_TYPE_NONE);
    table_->Begin(none);
    table_->End(none, LockTable::Outcome::kDone);
  }
  return absl::OkStatus();
}

void LockWaits::NoteAsked(uint64_t ticket) {
  absl::MutexLock guard(&mu_);
  if (const auto it = waits_.find(ticket); it != waits_.end()) it->second.asked = absl::Now();
}

void LockWaits::AskAgain() {
  std::vector<Abandoned> due;
  {
    absl::MutexLock guard(&mu_);
    const absl::Time before = absl::Now() - options_.ask_again;
    for (auto& [ticket, wait] : waits_) {
      if (wait.answer == nullptr || wait.asked > before) continue;
      due.push_back({ticket, wait.lock});
    }
  }
  for (const Abandoned& wait : due) {
    if (!LockOf(wait.ticket)) continue;
    const uint64_t losses = table_->losses();
    wire::SetLockRequest request;
    *request.mutable_lock() = wait.lock;
    request.set_wait(true);
    request.set_ticket(wait.ticket);
    auto response = meta_->Query<wire::SetLockResponse>(wire::METHOD_SET_LOCK, request, Op());
    if (!IsDecision(response.status())) return NoteAway();
    NoteAsked(wait.ticket);
    if (table_->losses() != losses) {
      // A new session was asked, in which nobody waits.
      absl::MutexLock guard(&mu_);
      abandoned_.push_back(wait);
      continue;
    }
    if (response.ok() && response->queued()) continue;
    Finish(wait.ticket, response.status());
  }
}

}  // namespace penstock::client
