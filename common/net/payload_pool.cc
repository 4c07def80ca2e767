#include "common/net/payload_pool.h"

#include <absl/numeric/bits.h>

#include <algorithm>
#include <cstdlib>

namespace penstock::net {
namespace {

constexpr bool Recycles() {
#if defined(__SANITIZE_ADDRESS__)
  return false;  // so that a use after free is seen
#else
  return true;
#endif
}

uintptr_t PlaceOf(const void* at) { return reinterpret_cast<uintptr_t>(at); }

}  // namespace

PayloadPool& PayloadPool::Shared() {
  static auto* pool = new PayloadPool;
  return *pool;
}

char* PayloadPool::Take(size_t capacity) {
  {
    absl::MutexLock lock(&mu_);
    auto& list = free_[absl::countr_zero(capacity)];
    if (!list.empty()) {
      char* data = list.back();
      list.pop_back();
      held_bytes_ -= capacity;
      return data;
    }
  }
  auto* data = static_cast<char*>(std::aligned_alloc(kAlignment, capacity));
  if (data == nullptr) return nullptr;
  absl::MutexLock lock(&mu_);
  blocks_.emplace(PlaceOf(data), capacity);
  return data;
}

void PayloadPool::Give(char* data, size_t capacity) {
  if (Recycles()) {
    absl::MutexLock lock(&mu_);
    if (held_bytes_ + capacity <= kKeepBytes) {
      free_[absl::countr_zero(capacity)].push_back(data);
      held_bytes_ += capacity;
      return;
    }
  }
  Free(data, capacity);
}

void PayloadPool::Free(char* data, size_t capacity) {
  {
    absl::MutexLock lock(&watchers_mu_);
    for (PayloadPoolWatcher* watcher : watchers_) watcher->OnFree({data, capacity});
  }
  {
    absl::MutexLock lock(&mu_);
    blocks_.erase(PlaceOf(data));
  }
  std::free(data);
}

std::optional<PayloadBlock> PayloadPool::Find(const void* at, size_t bytes) const {
  const uintptr_t from = PlaceOf(at);
  absl::MutexLock lock(&mu_);
  auto next = blocks_.upper_bound(from);
  if (next == blocks_.begin()) return std::nullopt;
  const auto& [base, capacity] = *std::prev(next);
  if (from - base >= capacity || bytes > capacity - (from - base)) return std::nullopt;
  return PayloadBlock{reinterpret_cast<char*>(base),
                      capacity};  // NOLINT(performance-no-int-to-ptr)
}

void PayloadPool::AddWatcher(PayloadPoolWatcher* watcher) {
  absl::MutexLock lock(&watchers_mu_);
  watchers_.push_back(watcher);
}

void PayloadPool::RemoveWatcher(PayloadPoolWatcher* watcher) {
  absl::MutexLock lock(&watchers_mu_);
  watchers_.erase(std::remove(watchers_.begin(), watchers_.end(), watcher), watchers_.end());
}

}  // namespace penstock::net
