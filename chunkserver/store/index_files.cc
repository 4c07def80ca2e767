// Whole indexes as files: opening, copying, moving, repairing, and reading what can still be read.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <cerrno>
#include <cstring>

#include "chunkserver/store/chunk_index.h"
#include "chunkserver/store/index_options.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

rocksdb::Env* EnvOf(rocksdb::Env* env) { return env == nullptr ? rocksdb::Env::Default() : env; }

// A key with `step` added to the four bytes behind its prefix; "" beyond the last.
std::string Behind(const std::string& key, uint64_t step) {
  uint64_t value = 0;
  for (size_t i = 1; i <= 4; ++i) {
    value = value << 8 | (i < key.size() ? static_cast<uint8_t>(key[i]) : 0);
  }
  value += step;
  if (value > UINT32_MAX) return "";
  std::string next(1, key[0]);
  for (int shift = 24; shift >= 0; shift -= 8) next.push_back(static_cast<char>(value >> shift));
  return next;
}

}  // namespace

absl::Status IndexStatus(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = std::string(what) + ": " + status.ToString();
  if (status.IsCorruption()) return absl::DataLossError(text);
  if (status.IsNoSpace()) return PosixError(ENOSPC, text);
  // RocksDB keeps only the text of these.
  for (int err : {EMFILE, ENFILE, ENOMEM, EROFS, EACCES, EPERM}) {
    if (text.find(strerror(err)) != std::string::npos) return PosixError(err, text);
  }
  return PosixError(EIO, text);
}

rocksdb::Options IndexOptions(uint64_t cache_bytes, rocksdb::Env* env) {
  rocksdb::Options options;
  if (env != nullptr) options.env = env;
  options.compression = rocksdb::kNoCompression;  // mostly checksums
  options.write_buffer_size = 32 << 20;
  options.max_write_buffer_number = 4;
  options.max_total_wal_size = 128 << 20;  // bounds what a start replays
  options.level_compaction_dynamic_level_bytes = true;
  options.max_background_jobs = 2;
  options.bytes_per_sync = 1 << 20;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // Every change of the version writes a manifest of its own, which CURRENT names once it is
  // synced. RocksDB refuses to open when a power cut tore a record that was being appended to an
  // old one.
  options.max_manifest_file_size = 1;
  // A start must not look at every table file.
  options.max_open_files = 512;
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.keep_log_file_num = 2;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(cache_bytes);
  table.block_size = 16 << 10;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::StatusOr<std::unique_ptr<ChunkIndex>> ChunkIndex::OpenToRead(const std::string& dir,
                                                                   rocksdb::Env* env) {
  rocksdb::Options options = IndexOptions(8 << 20, env);
  rocksdb::DB* raw = nullptr;
  RETURN_IF_ERROR(IndexStatus(rocksdb::DB::OpenForReadOnly(options, dir, &raw), "open old index"));
  return std::unique_ptr<ChunkIndex>(new ChunkIndex(std::unique_ptr<rocksdb::DB>(raw)));
}

uint64_t ChunkIndex::VisitReadable(
    char prefix, absl::FunctionRef<void(std::string_view, std::string_view)> visit) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  uint64_t gaps = 0;
  std::string at(1, prefix);
  // Beyond what cannot be read: ever farther, until something can.
  for (uint64_t step = 0; !at.empty();) {
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    for (it->Seek(at); it->Valid() && it->key()[0] == prefix; it->Next()) {
      visit({it->key().data(), it->key().size()}, {it->value().data(), it->value().size()});
      at = it->key().ToString() + '\0';
      step = 0;
    }
    if (it->status().ok()) break;
    gaps += step == 0 ? 1 : 0;
    step = step == 0 ? 1 : step * 2;
    at = Behind(at, step);
  }
  return gaps;
}

bool ChunkIndex::Exists(const std::string& dir, rocksdb::Env* env) {
  return EnvOf(env)->FileExists(dir).ok();
}

absl::Status ChunkIndex::Remove(const std::string& dir, rocksdb::Env* env) {
  if (!Exists(dir, env)) return absl::OkStatus();
  std::vector<std::string> names;
  RETURN_IF_ERROR(IndexStatus(EnvOf(env)->GetChildren(dir, &names), "list an old index"));
  for (const std::string& name : names) {
    if (name == "." || name == "..") continue;
    const std::string path = dir + "/" + name;
    bool is_directory = false;  // RocksDB's repair leaves one
    if (EnvOf(env)->IsDirectory(path, &is_directory).ok() && is_directory) {
      RETURN_IF_ERROR(Remove(path, env));
    } else {
      RETURN_IF_ERROR(IndexStatus(EnvOf(env)->DeleteFile(path), "remove an old index"));
    }
  }
  return IndexStatus(EnvOf(env)->DeleteDir(dir), "remove an old index");
}

absl::Status ChunkIndex::Copy(const std::string& from, const std::string& to, rocksdb::Env* env) {
  RETURN_IF_ERROR(IndexStatus(EnvOf(env)->CreateDirIfMissing(to), "copy the index"));
  std::vector<std::string> names;
  RETURN_IF_ERROR(IndexStatus(EnvOf(env)->GetChildren(from, &names), "copy the index"));
  for (const std::string& name : names) {
    if (name == "." || name == ".." || name == "LOCK") continue;
    std::string bytes;
    RETURN_IF_ERROR(IndexStatus(rocksdb::ReadFileToString(EnvOf(env), from + "/" + name, &bytes),
                                "copy the index"));
    RETURN_IF_ERROR(IndexStatus(rocksdb::WriteStringToFile(EnvOf(env), bytes, to + "/" + name),
                                "copy the index"));
  }
  return absl::OkStatus();
}

absl::Status ChunkIndex::Move(const std::string& from, const std::string& to, rocksdb::Env* env) {
  return IndexStatus(EnvOf(env)->RenameFile(from, to), "move the index");
}

absl::Status ChunkIndex::Repair(const std::string& dir, rocksdb::Env* env) {
  return IndexStatus(rocksdb::RepairDB(dir, IndexOptions(8 << 20, env)), "repair the index");
}

}  // namespace penstock::chunkserver
