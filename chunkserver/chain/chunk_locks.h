// ChunkLocks makes the writes of one chunk wait for each other on this server, in the order in
// which they came. Held over disk and network on purpose: it is a place in a queue, not a mutex,
// and every wait has a deadline. Thread-safe.
//
// Order: whoever takes several takes them in ascending order. Across servers nobody waits in a
// circle, because work of hop k waits for hop k + 1 only (write_chain.h).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <deque>
#include <utility>

#include "common/ids.h"

namespace penstock::chunkserver {

struct ChunkLockId {
  TargetId target;
  ChunkKey key;
  friend auto operator<=>(const ChunkLockId&, const ChunkLockId&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const ChunkLockId& id) {
    return H::combine(std::move(h), id.target, id.key);
  }
};

class ChunkLocks {
 public:
  class Guard {
   public:
    Guard() = default;
    Guard(ChunkLocks* locks, const ChunkLockId& id) : locks_(locks), id_(id) {}
    Guard(Guard&& other) noexcept { *this = std::move(other); }
    Guard& operator=(Guard&& other) noexcept {
      Release();
      locks_ = std::exchange(other.locks_, nullptr);
      id_ = other.id_;
      return *this;
    }
    ~Guard() { Release(); }
    void Release() {
      if (locks_ != nullptr) std::exchange(locks_, nullptr)->Unlock(id_);
    }

   private:
    ChunkLocks* locks_ = nullptr;
    ChunkLockId id_;
  };

  explicit ChunkLocks(size_t max_waiting_per_chunk = 64) : max_waiting_(max_waiting_per_chunk) {}

  // ABORTED: too many wait, or `timeout` passed.
  absl::StatusOr<Guard> Lock(const ChunkLockId& id, absl::Duration timeout);
  size_t held() const;

 private:
  struct Waiter {
    bool turn = false;
    absl::CondVar changed;
  };
  void Unlock(const ChunkLockId& id);

  const size_t max_waiting_;
  mutable absl::Mutex mu_;
  // An entry exists while the lock is held.
  absl::flat_hash_map<ChunkLockId, std::deque<Waiter*>> held_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::chunkserver
