#include "chunkserver/chain/chunk_locks.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace penstock::chunkserver {

absl::StatusOr<ChunkLocks::Guard> ChunkLocks::Lock(const ChunkLockId& id, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::MutexLock lock(&mu_);
  auto [it, fresh] = held_.try_emplace(id);
  if (fresh) return Guard(this, id);
  if (it->second.size() >= max_waiting_) {
    return absl::AbortedError(absl::StrCat("too many writes wait for chunk ", ToString(id.key)));
  }
  Waiter waiter;
  it->second.push_back(&waiter);
  while (!waiter.turn) {
    if (waiter.changed.WaitWithDeadline(&mu_, deadline) && !waiter.turn) {
      std::deque<Waiter*>& waiting = held_[id];
      waiting.erase(std::find(waiting.begin(), waiting.end(), &waiter));
      return absl::AbortedError(absl::StrCat("chunk ", ToString(id.key), " is busy"));
    }
  }
  return Guard(this, id);
}

void ChunkLocks::Unlock(const ChunkLockId& id) {
  absl::MutexLock lock(&mu_);
  auto it = held_.find(id);
  if (it == held_.end()) return;
  if (it->second.empty()) {
    held_.erase(it);
    return;
  }
  Waiter* next = it->second.front();
  it->second.pop_front();
  next->turn = true;
  next->changed.Signal();
}

size_t ChunkLocks::held() const {
  absl::MutexLock lock(&mu_);
  return held_.size();
}

}  // namespace penstock::chunkserver
