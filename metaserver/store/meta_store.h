// MetaStore opens the metaserver's RocksDB: one handle a column family (docs/formats/metadata.md).
// Only metaserver/store knows the bytes of keys and values. Thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <rocksdb/db.h>

#include <memory>
#include <string>
#include <vector>

namespace penstock::metaserver {

struct MetaStoreOptions {
  std::string dir;
  uint64_t block_cache_bytes = 256ull << 20;
};

inline constexpr uint32_t kStoreFormat = 1;

enum class Family { kDefault, kDentry, kInode, kXattr, kOrphan, kSession, kDataset, kCluster };

class MetaStore {
 public:
  static absl::StatusOr<std::unique_ptr<MetaStore>> Open(const MetaStoreOptions& options);
  ~MetaStore();
  rocksdb::DB* db() const { return db_.get(); }
  rocksdb::ColumnFamilyHandle* family(Family family) const;
  // After a full disk, with room again: what is only in memory and in the log goes into tables, and
  // a new log begins. Nobody may write meanwhile. Then writes are accepted again.
  absl::Status RecoverFromFullDisk() const;
  // Background work that stopped for want of room goes on. OK when there is nothing to do.
  absl::Status ResumeBackgroundWork() const;

  // One key of a family, for records that their owner encodes as Protobuf (kCluster).
  // NOT_FOUND without an errno when there is none.
  absl::StatusOr<std::string> Get(Family family, std::string_view key) const;
  // All keys that begin with `prefix`, in order.
  absl::StatusOr<std::vector<std::pair<std::string, std::string>>> Scan(
      Family family, std::string_view prefix) const;

 private:
  MetaStore() = default;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

}  // namespace penstock::metaserver
