#include "common/net/payload_buffer.h"

#include <absl/base/thread_annotations.h>
#include <absl/numeric/bits.h>
#include <absl/synchronization/mutex.h>

#include <cstdlib>
#include <new>
#include <vector>

#include "common/status.h"
#include "common/units.h"

namespace penstock::net {
namespace {

constexpr size_t kAlignment = 4096;
// Below this malloc keeps memory by itself; above it, every allocation would be a fresh mapping
// whose pages the kernel must zero one by one.
constexpr size_t kPooledFrom = 64 * 1024;
constexpr size_t kPoolLimit = 256 * 1024 * 1024;
constexpr int kClasses = 64;

// Free buffers of power-of-two sizes, for all threads. Bounded by kPoolLimit.
class BufferPool {
 public:
  // Null when there is none of that size.
  char* Take(size_t capacity) {
    absl::MutexLock lock(&mu_);
    auto& list = free_[absl::countr_zero(capacity)];
    if (list.empty()) return nullptr;
    char* data = list.back();
    list.pop_back();
    held_bytes_ -= capacity;
    return data;
  }

  // False: the pool is full.
  bool Give(char* data, size_t capacity) {
    absl::MutexLock lock(&mu_);
    if (held_bytes_ + capacity > kPoolLimit) return false;
    free_[absl::countr_zero(capacity)].push_back(data);
    held_bytes_ += capacity;
    return true;
  }

 private:
  absl::Mutex mu_;  // innermost
  std::vector<char*> free_[kClasses] ABSL_GUARDED_BY(mu_);
  size_t held_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

BufferPool& Pool() {
  static auto* pool = new BufferPool;  // lives forever: buffers are freed during exit too
  return *pool;
}

constexpr bool Pooled(size_t capacity) {
#if defined(__SANITIZE_ADDRESS__)
  (void)capacity;
  return false;  // so that a use after free is seen
#else
  return capacity >= kPooledFrom;
#endif
}

size_t CapacityFor(size_t size) {
  if (size >= kPooledFrom) return absl::bit_ceil(size);
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

PayloadBuffer PayloadBuffer::Allocate(size_t size) {
  PayloadBuffer buffer;
  if (size == 0) return buffer;
  buffer.size_ = size;
  buffer.capacity_ = CapacityFor(size);
  if (Pooled(buffer.capacity_)) buffer.data_ = Pool().Take(buffer.capacity_);
  if (buffer.data_ == nullptr) {
    buffer.data_ = static_cast<char*>(std::aligned_alloc(kAlignment, buffer.capacity_));
  }
  if (buffer.data_ == nullptr) throw std::bad_alloc();
  return buffer;
}

PayloadBuffer& PayloadBuffer::operator=(PayloadBuffer&& other) noexcept {
  if (this == &other) return *this;
  this->~PayloadBuffer();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  return *this;
}

PayloadBuffer::~PayloadBuffer() {
  if (data_ == nullptr) return;
  if (Pooled(capacity_) && Pool().Give(data_, capacity_)) return;
  std::free(data_);
}

void PayloadBuffer::Truncate(size_t size) {
  INVARIANT(size <= size_);
  size_ = size;
}

}  // namespace penstock::net
