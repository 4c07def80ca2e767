#include "chunkserver/scrub/repair_rules.h"

#include <algorithm>

namespace penstock::chunkserver {

MendAction DecideMend(const ChunkInfo& own, const SourceChunk& source) {
  if (!own.exists() || !own.quarantined) return MendAction::kNothing;
  const bool same = !own.pending && source.version == own.committed && !source.quarantined;
  return same ? MendAction::kTake : MendAction::kWait;
}

absl::Duration PauseAfter(const RepairPauses& pauses, int tries) {
  const int doublings = std::clamp(tries - 1, 0, 20);
  return std::min(pauses.first * (int64_t{1} << doublings), pauses.longest);
}

}  // namespace penstock::chunkserver
