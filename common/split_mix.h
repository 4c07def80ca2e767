// The mixer of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
// 2014): every bit of `z` changes half of the bits. Formats rest on it (docs/formats/placement.md).
#pragma once

#include <cstdint>

namespace penstock {

constexpr uint64_t SplitMix64(uint64_t z) {
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace penstock
