// What st_blocks tells of a file: the bytes that one copy of its chunks takes on a chunkserver, or
// its inline content.
//
// `Inode::allocated` is an estimate. Clients add up what chunkservers say about each write, cut and
// hole (ChunkResult.length_delta) and send the sum with the next publish. A sum that never arrives
// (a client died), or counts a write twice, leaves it off the truth, but always within [0, size
// rounded up to 4 KiB]; a new content starts at 0 again. Nothing but st_blocks rests on it.
#pragma once

#include <cstdint>

#include "metaserver/store/records.h"

namespace penstock::metaserver {

// Adds `delta` within the bounds of the record's size; of a file that is being truncated, of its
// old size, because the cuts still tell what they freed. An inline file has no chunks.
void AddAllocated(Inode& inode, int64_t delta);

// Of 512 bytes each, as st_blocks. 0 of all but regular files.
uint64_t BlocksOf(const Inode& inode);

}  // namespace penstock::metaserver
