// The placement seed that a content gets when it is made (docs/formats/placement.md).
#pragma once

#include <cstdint>

#include "common/ids.h"

namespace penstock {

inline uint32_t SeedOfContent(ContentId content) {
  constexpr uint64_t kGoldenRatio = 0x9e3779b97f4a7c15;
  return static_cast<uint32_t>((content.value() * kGoldenRatio) >> 32);
}

}  // namespace penstock
