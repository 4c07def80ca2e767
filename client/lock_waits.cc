#include "client/lock_waits.h"

#include <pthread.h>

#include <cerrno>

#include "common/status.h"

namespace penstock::client {

bool IsDecision(const absl::Status& status) {
  switch (AttachedErrno(status)) {
    case EAGAIN:
    case EDEADLK:
    case ENOLCK:
    case EINVAL:
      return true;
    default:
      return status.ok();
  }
}

LockWaits::LockWaits(MetaApi* meta, LockTable* table, LockWaitsOptions options)
    : meta_(meta), table_(table), options_(options), last_ticket_(options.first_ticket) {}

void LockWaits::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "lock-waits");
    Run();
  });
}

void LockWaits::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  stop_.Fire();
  if (thread_.joinable()) thread_.join();
  OnSessionLost();
}

uint64_t LockWaits::Begin(const wire::FileLock& lock) {
  absl::MutexLock guard(&mu_);
  table_->Begin(lock);
  waits_[++last_ticket_].lock = lock;
  return last_ticket_;
}

void LockWaits::Settle(uint64_t ticket, const absl::Status& status) {
  absl::MutexLock guard(&mu_);
  const auto it = waits_.find(ticket);
  if (it == waits_.end()) return;
  if (!it->second.status) {
    table_->End(it->second.lock,
                status.ok() ? LockTable::Outcome::kDone : LockTable::Outcome::kRefused);
  }
  waits_.erase(it);
}

void LockWaits::Park(uint64_t ticket, Answer answer) {
  absl::Status status;
  {
    absl::MutexLock guard(&mu_);
    const auto it = waits_.find(ticket);
    INVARIANT(it != waits_.end() && it->second.answer == nullptr);
    if (!it->second.status) {
      table_->Suspend(it->second.lock);
      it->second.answer = std::move(answer);
      return;
    }
    status = *it->second.status;
    waits_.erase(it);
  }
  std::move(answer)(status);
}

void LockWaits::Finish(uint64_t ticket, const absl::Status& status) {
  Answer answer;
  {
    absl::MutexLock guard(&mu_);
    const auto it = waits_.find(ticket);
    if (it == waits_.end() || it->second.status) return;
    table_->End(it->second.lock,
                status.ok() ? LockTable::Outcome::kDone : LockTable::Outcome::kRefused);
    if (it->second.answer == nullptr) {
      it->second.status = status;
      return;
    }
    answer = std::move(it->second.answer);
    waits_.erase(it);
  }
  std::move(answer)(status);
}

void LockWaits::Interrupt(uint64_t ticket) {
  absl::MutexLock guard(&mu_);
  interrupted_.push_back(ticket);
}

std::optional<absl::Status> LockWaits::Abandon(uint64_t ticket) {
  absl::MutexLock guard(&mu_);
  const auto it = waits_.find(ticket);
  INVARIANT(it != waits_.end());
  const std::optional<absl::Status> status = std::move(it->second.status);
  const wire::FileLock lock = it->second.lock;
  waits_.erase(it);
  if (status && IsDecision(*status)) return status;
  if (!status) table_->End(lock, LockTable::Outcome::kUnknown);
  abandoned_.push_back({ticket, lock});
  return std::nullopt;
}

void LockWaits::OnAnswer(const wire::LockAnswer& answer) {
  const int err = static_cast<int>(answer.err());
  Finish(answer.ticket(), err == 0 ? absl::OkStatus() : PosixError(err, "the wait was refused"));
}

void LockWaits::OnSessionLost() {
  std::vector<uint64_t> tickets;
  {
    absl::MutexLock guard(&mu_);
    for (const auto& [ticket, wait] : waits_) tickets.push_back(ticket);
    abandoned_.clear();
    repairs_.clear();
  }
  for (uint64_t ticket : tickets) Finish(ticket, PosixError(EIO, "the session was lost"));
}

void LockWaits::OnServerRestart() {
  absl::MutexLock guard(&mu_);
  for (auto& [ticket, wait] : waits_) wait.asked = absl::InfinitePast();
}

void LockWaits::Repair(const wire::FileLock& lock) {
  absl::MutexLock guard(&mu_);
  repairs_.push_back(lock);
}

size_t LockWaits::size() const {
  absl::MutexLock guard(&mu_);
  return waits_.size();
}

}  // namespace penstock::client
