// What a restored store must not have as the backup had it
// (docs/decisions/2026-11-30-what-a-restore-changes.md): the cluster went on after the backup, and
// what it gave out since is still in use on chunkservers and clients.
#pragma once

#include <absl/status/statusor.h>
#include <rocksdb/write_batch.h>

#include <cstdint>

#include "metaserver/store/meta_store.h"

namespace penstock::metaserver {

// Numbers that a restored store leaves out: more than were given out since any backup that somebody
// restores. Local inode numbers have 40 bits: 64 restores.
inline constexpr uint64_t kSkippedInodes = uint64_t{1} << 34;
inline constexpr uint64_t kSkippedIds = uint64_t{1} << 40;  // contents, sessions

// Ids ahead, every session ended and fenced, the cluster without members
// (AsRestored, cluster/restored_records.h). RESOURCE_EXHAUSTED: no numbers left.
absl::StatusOr<rocksdb::WriteBatch> AfterRestore(const MetaStore& store, int64_t now_s);

}  // namespace penstock::metaserver
