// All records of the store as blocks, for backups (docs/formats/backup.md): read from one snapshot,
// and loaded into an empty store.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "metaserver/store/meta_store.h"

namespace penstock::metaserver {

inline constexpr size_t kFamilies = static_cast<size_t>(Family::kCluster) + 1;
inline constexpr size_t kBlockBytes = 1 << 20;  // about; one record more

struct RecordBlock {
  Family family = Family::kDefault;
  uint32_t records = 0;
  std::string data;  // u32 length, key, u32 length, value; again for each record
};

// One moment of a store. The store must outlive it. Holding one keeps what is overwritten meanwhile
// on the disk.
class StoreSnapshot {
 public:
  explicit StoreSnapshot(const MetaStore* store)
      : store_(store), snapshot_(store->db()->GetSnapshot()) {}
  ~StoreSnapshot() { store_->db()->ReleaseSnapshot(snapshot_); }
  StoreSnapshot(const StoreSnapshot&) = delete;
  StoreSnapshot& operator=(const StoreSnapshot&) = delete;

  uint64_t records_about() const;  // of all families, estimated
  uint64_t bytes_about() const;
  absl::StatusOr<uint64_t> log_index() const;  // of this moment
  // The records of a family that begin with `prefix`, in order, until `visit` says false. Past the
  // block cache, which stays as it was.
  absl::Status Visit(
      Family family, std::string_view prefix,
      absl::FunctionRef<absl::StatusOr<bool>(std::string_view key, std::string_view value)> visit)
      const;
  // Every record, family by family.
  absl::Status VisitBlocks(absl::FunctionRef<absl::Status(RecordBlock)> visit) const;

 private:
  const MetaStore* const store_;
  const rocksdb::Snapshot* const snapshot_;
};

// Puts a block's records into the store, without its log: FlushLoaded() makes them durable.
// DATA_LOSS: the block is damaged.
absl::Status LoadBlock(const MetaStore& store, const RecordBlock& block);
absl::Status FlushLoaded(const MetaStore& store);

}  // namespace penstock::metaserver
