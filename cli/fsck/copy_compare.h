// Whether the in-sync copies of one chunk agree. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "common/ids.h"

namespace penstock::cli {

struct CopySeen {
  TargetId target;
  bool exists = false;
  bool pending = false;      // a write is on its way through the chain
  bool quarantined = false;  // its bytes failed their checksum
  ChunkVersion version;
  uint32_t length = 0;
};

enum class CopyVerdict { kSame, kInFlight, kDiffer, kDamaged };
struct JudgedCopies {
  CopyVerdict verdict = CopyVerdict::kSame;
  // Those that another copy can mend, which is newer, whole or there at all. Empty: none can.
  std::vector<TargetId> behind;
  bool exists = false;  // some copy does
  uint32_t length = 0;  // the longest
};
JudgedCopies JudgeCopies(const std::vector<CopySeen>& copies);

// The order of keys in listings: that of reversed positions.
bool InListOrder(const ChunkKey& a, const ChunkKey& b);

}  // namespace penstock::cli
