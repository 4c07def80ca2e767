#include "metaserver/store/meta_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <cerrno>
#include <filesystem>

#include "common/status.h"
#include "metaserver/store/merge_operators.h"
#include "metaserver/store/rocks_status.h"

namespace penstock::metaserver {
namespace {

constexpr std::string_view kFormatKey = "format";
// Creates in one directory leave one operand each on its inode; from this many on, RocksDB folds
// them when it writes, so that a read never folds more.
constexpr size_t kMaxOperands = 32;

rocksdb::ColumnFamilyOptions FamilyOptions(const rocksdb::BlockBasedTableOptions& table) {
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = 64 << 20;
  options.level_compaction_dynamic_level_bytes = true;
  options.compression = rocksdb::kLZ4Compression;
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> Families(uint64_t block_cache_bytes) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(block_cache_bytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;
  const rocksdb::ColumnFamilyOptions plain = FamilyOptions(table);
  rocksdb::ColumnFamilyOptions inode = plain;
  inode.merge_operator = NewInodeMergeOperator();
  inode.max_successive_merges = kMaxOperands;
  rocksdb::ColumnFamilyOptions dataset = plain;
  dataset.merge_operator = NewCounterMergeOperator();
  dataset.max_successive_merges = kMaxOperands;
  // The order is that of enum Family.
  return {{rocksdb::kDefaultColumnFamilyName, plain},
          {"dentry", plain},
          {"inode", inode},
          {"xattr", plain},
          {"orphan", plain},
          {"session", plain},
          {"dataset", dataset},
          {"cluster", plain}};
}

absl::Status CheckFormat(rocksdb::DB& db) {
  std::string value;
  const rocksdb::Status found =
      db.Get(rocksdb::ReadOptions(), rocksdb::Slice(kFormatKey.data(), kFormatKey.size()), &value);
  if (found.IsNotFound()) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    return FromRocks(db.Put(synced, rocksdb::Slice(kFormatKey.data(), kFormatKey.size()),
                            std::to_string(kStoreFormat)),
                     "write the store's format");
  }
  RETURN_IF_ERROR(FromRocks(found, "read the store's format"));
  if (value != std::to_string(kStoreFormat)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the metadata store has format ", value.substr(0, 20),
                     ", this program knows format ", kStoreFormat));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetaStore>> MetaStore::Open(const MetaStoreOptions& options) {
  std::error_code error;
  std::filesystem::create_directories(options.dir, error);
  if (error) return PosixError(error.value(), absl::StrCat("make ", options.dir));
  rocksdb::DBOptions db_options;
  db_options.create_if_missing = true;
  db_options.create_missing_column_families = true;
  db_options.paranoid_checks = true;
  db_options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // A manifest a change: one that a power cut tore is never the one that CURRENT names.
  db_options.max_manifest_file_size = 1;
  db_options.max_total_wal_size = 512 << 20;
  db_options.bytes_per_sync = 1 << 20;
  db_options.max_background_jobs = 2;
  db_options.keep_log_file_num = 4;
  db_options.max_log_file_size = 16 << 20;
  std::unique_ptr<MetaStore> store(new MetaStore());
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(
      db_options, options.dir, Families(options.block_cache_bytes), &store->handles_, &db);
  if (opened.IsIOError() && opened.ToString().find("/LOCK") != std::string::npos) {
    return absl::FailedPreconditionError(
        absl::StrCat("another process uses the metadata store ", options.dir));
  }
  RETURN_IF_ERROR(FromRocks(opened, absl::StrCat("open the metadata store ", options.dir)));
  store->db_.reset(db);
  RETURN_IF_ERROR(CheckFormat(*db));
  return store;
}

MetaStore::~MetaStore() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  db_->Close().PermitUncheckedError();
}

rocksdb::ColumnFamilyHandle* MetaStore::family(Family family) const {
  return handles_[static_cast<size_t>(family)];
}

absl::Status MetaStore::ResumeBackgroundWork() const {
  return FromRocks(db_->Resume(), "resume after a full disk");
}

absl::Status MetaStore::RecoverFromFullDisk() const {
  RETURN_IF_ERROR(ResumeBackgroundWork());
  return FromRocks(db_->Flush(rocksdb::FlushOptions(), handles_), "store what is in memory");
}

absl::StatusOr<std::string> MetaStore::Get(Family family_id, std::string_view key) const {
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), family(family_id),
                                          rocksdb::Slice(key.data(), key.size()), &value);
  if (status.IsNotFound()) return absl::NotFoundError("no such record");
  RETURN_IF_ERROR(FromRocks(status, "read a record"));
  return value;
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> MetaStore::Scan(
    Family family_id, std::string_view prefix) const {
  std::vector<std::pair<std::string, std::string>> found;
  std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(rocksdb::ReadOptions(), family(family_id)));
  const rocksdb::Slice start(prefix.data(), prefix.size());
  for (it->Seek(start); it->Valid() && it->key().starts_with(start); it->Next()) {
    found.emplace_back(it->key().ToString(), it->value().ToString());
  }
  RETURN_IF_ERROR(FromRocks(it->status(), "scan records"));
  return found;
}

}  // namespace penstock::metaserver
