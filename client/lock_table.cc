#include "client/lock_table.h"

#include <absl/time/clock.h>
#include <signal.h>

#include <cerrno>

#include "common/status.h"

namespace penstock::client {
namespace {

constexpr absl::Duration kDeparture = absl::Milliseconds(100);

LockRange RangeOf(const wire::FileLock& lock) { return {lock.start(), lock.end()}; }
LockType TypeOf(const wire::FileLock& lock) { return static_cast<LockType>(lock.type()); }

bool ProcessIsGone(uint32_t pid) {
  return pid != 0 && kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
}

}  // namespace

LockTable::Key LockTable::KeyOf(const wire::FileLock& lock) {
  return {lock.kind() == wire::LOCK_FLOCK, lock.owner()};
}

wire::FileLock LockTable::Piece(const Held& held, const LockPiece& piece) {
  wire::FileLock lock = held.last;
  lock.set_type(static_cast<wire::LockType>(piece.type));
  lock.set_start(piece.range.start);
  lock.set_end(piece.range.end);
  return lock;
}

void LockTable::EraseIfEmpty(File& file, uint64_t ino, Key key) {
  const auto it = file.find(key);
  if (it == file.end()) return;
  const Held& held = it->second;
  if (!held.ranges.empty() || held.under_way > 0 || held.uncertain) return;
  file.erase(it);
  --size_;
  if (file.empty()) files_.erase(ino);
}

void LockTable::Begin(const wire::FileLock& lock) {
  absl::MutexLock guard(&mu_);
  const auto [it, fresh] = files_[lock.ino()].try_emplace(KeyOf(lock));
  if (fresh) {
    ++size_;
    it->second.last = lock;
  }
  if (++it->second.under_way > 1) it->second.uncertain = true;
}

void LockTable::End(const wire::FileLock& lock, Outcome outcome) {
  absl::MutexLock guard(&mu_);
  File& file = files_[lock.ino()];
  const auto [it, fresh] = file.try_emplace(KeyOf(lock));
  if (fresh) ++size_;  // forgotten meanwhile
  Held& held = it->second;
  if (held.under_way > 0) --held.under_way;
  ++held.answers;
  if (fresh) held.last = lock;
  switch (outcome) {
    case Outcome::kDone:
      held.ranges.Set(RangeOf(lock), TypeOf(lock));
      if (lock.type() != wire::LOCK_TYPE_NONE) held.last = lock;
      held.waited_for = false;
      break;
    case Outcome::kRefused:
      if (lock.kind() == wire::LOCK_FLOCK) held.ranges.Set(RangeOf(lock), LockType::kNone);
      break;
    case Outcome::kUnknown:
      held.ranges.Weaken(RangeOf(lock), TypeOf(lock));
      held.uncertain = true;
      break;
  }
  EraseIfEmpty(file, lock.ino(), KeyOf(lock));
}

void LockTable::Suspend(const wire::FileLock& lock) {
  if (lock.kind() != wire::LOCK_FLOCK) return;
  absl::MutexLock guard(&mu_);
  const auto file = files_.find(lock.ino());
  if (file == files_.end()) return;
  const auto it = file->second.find(KeyOf(lock));
  if (it != file->second.end()) it->second.ranges.Set(RangeOf(lock), LockType::kNone);
}

void LockTable::Doubt(const wire::FileLock& lock) {
  absl::MutexLock guard(&mu_);
  const auto [it, fresh] = files_[lock.ino()].try_emplace(KeyOf(lock));
  if (fresh) {
    ++size_;
    it->second.last = lock;
  }
  it->second.uncertain = true;
}

std::vector<wire::FileLock> LockTable::Pieces(const wire::FileLock& lock) const {
  absl::ReaderMutexLock guard(&mu_);
  Held held;
  held.last = lock;
  if (const auto file = files_.find(lock.ino()); file != files_.end()) {
    const auto it = file->second.find(KeyOf(lock));
    if (it != file->second.end()) held = it->second;
  }
  std::vector<wire::FileLock> pieces;
  for (const LockPiece& piece : held.ranges.In(RangeOf(lock))) {
    pieces.push_back(Piece(held, piece));
  }
  return pieces;
}

wire::FileLock LockTable::StartRelease(Held& held) {
  held.answers_at_release = held.answers;
  held.closed = clock_->SinceBoot();
  return Piece(held, {{0, INT64_MAX}, LockType::kNone});
}

std::vector<wire::FileLock> LockTable::OfOwner(InodeNumber ino, uint64_t owner) {
  if (size_ == 0) return {};
  absl::MutexLock guard(&mu_);
  const auto file = files_.find(ino.value());
  if (file == files_.end()) return {};
  const auto it = file->second.find({false, owner});
  if (it == file->second.end()) return {};
  return {StartRelease(it->second)};
}

std::vector<wire::FileLock> LockTable::OfHandle(InodeNumber ino, uint64_t handle) {
  std::vector<wire::FileLock> found;
  if (size_ == 0) return found;
  absl::MutexLock guard(&mu_);
  const auto file = files_.find(ino.value());
  if (file == files_.end()) return found;
  for (auto& [key, held] : file->second) {
    if (held.last.handle() == handle) found.push_back(StartRelease(held));
  }
  return found;
}

void LockTable::Released(const std::vector<wire::FileLock>& locks) {
  absl::MutexLock guard(&mu_);
  for (const wire::FileLock& lock : locks) {
    const auto file = files_.find(lock.ino());
    if (file == files_.end()) continue;
    const auto it = file->second.find(KeyOf(lock));
    if (it == file->second.end()) continue;
    Held& held = it->second;
    // Which of two requests at once was first, the metaserver knows: another close will tell it.
    const bool others = held.answers != held.answers_at_release;
    if (!others) held.ranges = LockRanges();
    held.uncertain = others || held.under_way > 0;
    EraseIfEmpty(file->second, lock.ino(), KeyOf(lock));
  }
}

void LockTable::NoteClose(InodeNumber ino, uint64_t handle) {
  if (size_ == 0) return;
  absl::MutexLock guard(&mu_);
  const auto file = files_.find(ino.value());
  if (file == files_.end()) return;
  for (auto& [key, held] : file->second) {
    if (held.last.handle() == handle) held.closed = clock_->SinceBoot();
  }
}

bool LockTable::Departs(const wire::FileLock& wanted) {
  const auto file = files_.find(wanted.ino());
  if (file == files_.end()) return false;
  const Key own = KeyOf(wanted);
  for (auto& [key, held] : file->second) {
    if (key.whole != own.whole || key == own) continue;
    if (!held.ranges.FirstConflict(RangeOf(wanted), TypeOf(wanted))) continue;
    if (clock_->SinceBoot() - held.closed < kDeparture) return true;
    if (!held.waited_for && ProcessIsGone(held.last.pid())) return true;
  }
  return false;
}

bool LockTable::AwaitDeparture(const wire::FileLock& wanted) {
  absl::MutexLock guard(&mu_);
  if (!Departs(wanted)) return false;
  const auto gone = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !Departs(wanted); };
  if (mu_.AwaitWithTimeout(absl::Condition(&gone), kDeparture)) return true;
  // Another process has the open file: its lock stays, and nobody waits for it a second time.
  const auto file = files_.find(wanted.ino());
  if (file == files_.end()) return true;
  for (auto& [key, held] : file->second) held.waited_for = true;
  return true;
}

void LockTable::AddTo(wire::SessionHeartbeatRequest* report) const {
  absl::ReaderMutexLock guard(&mu_);
  for (const auto& [ino, file] : files_) {
    for (const auto& [key, held] : file) {
      for (const LockPiece& piece : held.ranges.All()) {
        *report->add_locks()->mutable_lock() = Piece(held, piece);
      }
    }
  }
}

std::vector<wire::FileLock> LockTable::Forget() {
  std::vector<wire::FileLock> forgotten;
  absl::MutexLock guard(&mu_);
  for (const auto& [ino, file] : files_) {
    for (const auto& [key, held] : file) {
      forgotten.push_back(Piece(held, {{0, INT64_MAX}, LockType::kNone}));
    }
  }
  ++losses_;
  files_.clear();
  size_ = 0;
  return forgotten;
}

}  // namespace penstock::client
