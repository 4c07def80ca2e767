// RebuildIndex makes a target's damaged index anew from what can still be read of it: chunk
// records, deferred overwrites, slab sizes; bitmaps and counters follow from the records. What
// cannot be read is lost here, so whoever opens the target must not take it for whole: it catches
// up from other members, and checksums tell which bytes are right.
//
// Order: the new index is made beside the old one and synced, the old one is set aside as
// `index.damaged`, the new one takes its name. Nothing of the old one is deleted before the next
// rebuild.
#pragma once

#include <absl/status/statusor.h>
#include <rocksdb/env.h>

#include <cstdint>
#include <string>

#include "common/file.h"

namespace penstock::chunkserver {

struct RebuiltIndex {
  uint64_t records = 0;   // that were kept
  uint64_t dropped = 0;   // that made no sense
  uint64_t gaps = 0;      // places that could not be read
  bool repaired = false;  // it could not even be opened, and RocksDB's repair went first
  bool whole() const { return dropped == 0 && gaps == 0 && !repaired; }
};

// `dir`: of the target, which nobody has open. `env` null: the machine's. An error: as it was.
// FAILED_PRECONDITION: something has a format that this program does not know.
absl::StatusOr<RebuiltIndex> RebuildIndex(const std::string& dir, uint64_t slab_bytes,
                                          FileSystem* fs, rocksdb::Env* env);
// After a crash in the middle of a rebuild: the last step; true when it was missing.
absl::StatusOr<bool> FinishRebuild(const std::string& dir, FileSystem* fs, rocksdb::Env* env);

}  // namespace penstock::chunkserver
