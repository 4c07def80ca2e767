// Numbers as they stand on the wire: little-endian, at any address.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace penstock::net {

template <std::unsigned_integral T>
void Put(char* at, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    at[i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
  }
}

template <std::unsigned_integral T>
T Get(const char* at) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= uint64_t{static_cast<unsigned char>(at[i])} << (8 * i);
  }
  return static_cast<T>(value);
}

}  // namespace penstock::net
