// PayloadBuffer owns the payload bytes of one message: 4 KiB-aligned memory for disk and, later,
// registered memory for RDMA. Movable; freed (or given back to its pool) when destroyed.
#pragma once

#include <absl/types/span.h>

#include <cstddef>
#include <functional>
#include <utility>

namespace penstock::net {

class PayloadBuffer {
 public:
  PayloadBuffer() = default;
  // Uninitialised bytes.
  static PayloadBuffer Allocate(size_t size);
  PayloadBuffer(PayloadBuffer&& other) noexcept { *this = std::move(other); }
  PayloadBuffer& operator=(PayloadBuffer&& other) noexcept;
  ~PayloadBuffer();

  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t size() const { return size_; }
  void Truncate(size_t size);  // to a smaller size
  absl::Span<char> span() { return {data_, size_}; }
  absl::Span<const char> span() const { return {data_, size_}; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace penstock::net
