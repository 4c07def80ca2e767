// When a damaged copy may be mended, as pure functions.
//
// A version names the same bytes on every member that has it. So under the chunk's place here
// (chain/chunk_locks.h) to put the committed version's bytes in place of damaged ones changes
// nothing that anybody could see, whatever the chain does elsewhere, and whenever the source was
// asked. An older or a newer version would: taking it is what syncing is for. But for the one that
// is pending here: a source that has it committed says that it is decided, and what is left to do
// here is to commit it, too.
#pragma once

#include <absl/time/time.h>

#include "chunkserver/store/chunk_store.h"
#include "chunkserver/sync/sync_rules.h"

namespace penstock::chunkserver {

enum class MendAction : uint8_t {
  kNothing,  // it is not damaged (any more)
  kTake,     // the source's bytes
  kCommit,   // the source's bytes, as the version that is pending here
  kWait,     // this source has another version: look again
  kAbsent,   // this source has no such chunk
};
// `own` as seen under the chunk's place.
MendAction DecideMend(const ChunkInfo& own, const SourceChunk& source);

// How long to wait after so many tries in vain, first 1.
struct RepairPauses {
  absl::Duration first = absl::Seconds(1);
  absl::Duration longest = absl::Minutes(5);
};
absl::Duration PauseAfter(const RepairPauses& pauses, int tries);

}  // namespace penstock::chunkserver
