// The cluster's records after a restore: pure but for the batch that stores them. Chunkservers and
// clients know later versions, epochs and members than the backup, so versions and epochs go on
// far ahead of them, and members are found out anew (restored_groups.h).
#pragma once

#include <absl/status/statusor.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <vector>

#include "metaserver/cluster/cluster_records.h"

namespace penstock::metaserver {

// More than were used since any backup that somebody restores.
inline constexpr uint32_t kSkippedEpochs = 1u << 24;
inline constexpr uint64_t kSkippedVersions = uint64_t{1} << 40;  // of the map and of the fences
inline constexpr uint32_t kSkippedMembers = 1u << 16;            // ids of servers and targets

struct RestoredRecords {
  ClusterRecords now;                 // without groups
  std::vector<record::Group> groups;  // of the backup: they go
};
struct RestoreFences {
  std::vector<uint64_t> sessions;  // to be fenced; not empty
  int64_t now_s = 0;
};
// RESOURCE_EXHAUSTED: no epochs or ids are left. UNIMPLEMENTED: groups of another storage class
// than the standard one.
absl::StatusOr<RestoredRecords> AsRestored(const ClusterRecords& backup,
                                           const RestoreFences& fences);

void PutRestored(const MetaStore& store, const RestoredRecords& restored,
                 rocksdb::WriteBatch& batch);

}  // namespace penstock::metaserver
