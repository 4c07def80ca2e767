// PayloadPool recycles the large blocks of memory behind PayloadBuffer, and knows which block an
// address lies in, so that a transport can register a block once and find it again. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace penstock::net {

struct PayloadBlock {
  char* base = nullptr;
  size_t capacity = 0;  // a power of two, at least PayloadPool::kSmallest
};

// Is told before a block's memory goes back to the system. Must not call the pool.
class PayloadPoolWatcher {
 public:
  virtual ~PayloadPoolWatcher() = default;
  virtual void OnFree(const PayloadBlock& block) = 0;
};

class PayloadPool {
 public:
  // Below this malloc keeps memory by itself; above it, every allocation would be a fresh mapping
  // whose pages the kernel must zero one by one.
  static constexpr size_t kSmallest = 64 * 1024;
  static constexpr size_t kAlignment = 4096;
  static constexpr size_t kKeepBytes = 256 * 1024 * 1024;  // of free blocks; more is given back

  static PayloadPool& Shared();  // lives forever: buffers are freed during exit too

  // A free block of `capacity`, or fresh memory; null when there is none.
  char* Take(size_t capacity);
  void Give(char* data, size_t capacity);

  // The block that holds `bytes` from `at` on, none when they are of no pool. Only meaningful while
  // the caller knows that the memory is in use.
  std::optional<PayloadBlock> Find(const void* at, size_t bytes) const;

  void AddWatcher(PayloadPoolWatcher* watcher);
  void RemoveWatcher(PayloadPoolWatcher* watcher);  // OnFree is not running afterwards

 private:
  void Free(char* data, size_t capacity);

  static constexpr int kClasses = 64;
  mutable absl::Mutex mu_;  // innermost
  std::vector<char*> free_[kClasses] ABSL_GUARDED_BY(mu_);
  size_t held_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uintptr_t, size_t> blocks_ ABSL_GUARDED_BY(mu_);  // base -> capacity, in use or free

  absl::Mutex watchers_mu_;  // held while they are told; before their own locks
  std::vector<PayloadPoolWatcher*> watchers_ ABSL_GUARDED_BY(watchers_mu_);
};

}  // namespace penstock::net
