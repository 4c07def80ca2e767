#include "common/net/payload_buffer.h"

#include <absl/numeric/bits.h>

#include <cstdlib>
#include <new>

#include "common/net/payload_pool.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr bool Pooled(size_t capacity) { return capacity >= PayloadPool::kSmallest; }

size_t CapacityFor(size_t size) {
  if (Pooled(size)) return absl::bit_ceil(size);
  constexpr size_t kUnit = PayloadPool::kAlignment;
  return (size + kUnit - 1) / kUnit * kUnit;
}

}  // namespace

PayloadBuffer PayloadBuffer::Allocate(size_t size) {
  PayloadBuffer buffer;
  if (size == 0) return buffer;
  buffer.size_ = size;
  buffer.capacity_ = CapacityFor(size);
  buffer.data_ =
      Pooled(buffer.capacity_)
          ? PayloadPool::Shared().Take(buffer.capacity_)
          : static_cast<char*>(std::aligned_alloc(PayloadPool::kAlignment, buffer.capacity_));
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
  if (Pooled(capacity_)) {
    PayloadPool::Shared().Give(data_, capacity_);
  } else {
    std::free(data_);
  }
}

void PayloadBuffer::Truncate(size_t size) {
  INVARIANT(size <= size_);
  size_ = size;
}

}  // namespace penstock::net
