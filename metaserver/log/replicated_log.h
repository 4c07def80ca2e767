// ReplicatedLog stands between Prepare and Apply (DESIGN.md section 7): an entry is one RocksDB
// WriteBatch, applied in log order with its index in the same batch. Thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <rocksdb/write_batch.h>

#include <cstdint>

namespace penstock::metaserver {

enum class Durability {
  kProcess,  // survives kill -9 when Commit returns; a power cut after at most 100 ms
  kSynced,   // survives a power cut when Commit returns
};

class ReplicatedLog {
 public:
  virtual ~ReplicatedLog() = default;
  // Appends and applies the batch; returns its index. Whoever finds the log free commits for all
  // that wait (group commit). After an error the batch was not applied (though a crash that comes
  // before the next change may apply it); an I/O error makes the log refuse everything after it
  // until the restart, a full disk (ENOSPC) until RecoverFromFullDisk().
  virtual absl::StatusOr<uint64_t> Commit(rocksdb::WriteBatch batch, Durability durability) = 0;
  // Everything committed before is on disk when it returns.
  virtual absl::Status Sync() = 0;
  // With room on the disk again: goes on after a full one. OK when there is nothing to do.
  virtual absl::Status RecoverFromFullDisk() = 0;
  virtual uint64_t last_index() const = 0;         // applied
  virtual uint64_t last_synced_index() const = 0;  // on disk
};

}  // namespace penstock::metaserver
