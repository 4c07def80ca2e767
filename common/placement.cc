#include "common/placement.h"

#include "common/split_mix.h"

namespace penstock {

uint32_t MixSeed(uint32_t seed) { return static_cast<uint32_t>(SplitMix64(seed) >> 32); }

uint32_t ReverseBits(uint32_t v) {
  v = ((v >> 1) & 0x55555555u) | ((v & 0x55555555u) << 1);
  v = ((v >> 2) & 0x33333333u) | ((v & 0x33333333u) << 2);
  v = ((v >> 4) & 0x0F0F0F0Fu) | ((v & 0x0F0F0F0Fu) << 4);
  v = ((v >> 8) & 0x00FF00FFu) | ((v & 0x00FF00FFu) << 8);
  return (v >> 16) | (v << 16);
}

}  // namespace penstock
