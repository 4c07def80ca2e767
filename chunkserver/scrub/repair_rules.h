// When a damaged copy may be mended, as pure functions.
//
// Under the chunk's place here (chain/chunk_locks.h) and with nothing pending, this member's state
// is its committed version, and that version names the same bytes on every member that has it. So
// to put these bytes in place of damaged ones changes nothing that anybody could see, whatever the
// chain does elsewhere. An older or a newer version would: taking it is what syncing is for.
#pragma once

#include <absl/time/time.h>

#include "chunkserver/store/chunk_store.h"
#include "chunkserver/sync/sync_rules.h"

namespace penstock::chunkserver {

enum class MendAction : uint8_t {
  kNothing,  // it is not damaged (any more)
  kTake,     // the source's bytes
  kWait,     // this source has another version, or a write is under way: look again
};
// `own` as seen under the chunk's place, `source` asked after that was taken.
MendAction DecideMend(const ChunkInfo& own, const SourceChunk& source);

// How long to wait after so many tries in vain, first 1.
struct RepairPauses {
  absl::Duration first = absl::Seconds(1);
  absl::Duration longest = absl::Minutes(5);
};
absl::Duration PauseAfter(const RepairPauses& pauses, int tries);

}  // namespace penstock::chunkserver
