#include "chunkserver/scrub/repair_rules.h"

#include <algorithm>

namespace penstock::chunkserver {

MendAction DecideMend(const ChunkInfo& own, const SourceChunk& source) {
  if (!own.exists() || !own.quarantined) return MendAction::kNothing;
  if (!source.version.valid()) return MendAction::kAbsent;
  if (source.quarantined) return MendAction::kWait;
  if (source.version == own.committed) return MendAction::kTake;
  return own.pending == source.version ? MendAction::kCommit : MendAction::kWait;
}

absl::Duration PauseAfter(const RepairPauses& pauses, int tries) {
  const int doublings = std::clamp(tries - 1, 0, 20);
  return std::min(pauses.first * (int64_t{1} << doublings), pauses.longest);
}

}  // namespace penstock::chunkserver
