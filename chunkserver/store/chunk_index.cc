#include "chunkserver/store/chunk_index.h"

#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>

#include <cerrno>

#include "chunkserver/store/index_keys.h"
#include "chunkserver/store/little_endian.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr uint8_t kStateFormat = 1;

rocksdb::Slice AsSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view AsView(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

absl::Status FromRocks(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = std::string(what) + ": " + status.ToString();
  if (status.IsCorruption()) return absl::DataLossError(text);
  if (status.IsNoSpace()) return PosixError(ENOSPC, text);
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

}  // namespace

std::string StoreState::Encode() const {
  std::string out;
  PutWord(out, kStateFormat);
  PutWord(out, barrier);
  PutWord(out, stored_bytes);
  PutWord(out, chunks);
  out += boot_id;
  return out;
}

absl::StatusOr<StoreState> StoreState::Decode(std::string_view bytes) {
  WordReader in(bytes);
  const uint8_t format = in.Get<uint8_t>();
  if (in.ok() && format != kStateFormat) {
    return absl::FailedPreconditionError(absl::StrCat("chunk index: unknown format ", format,
                                                      ", this program knows ", kStateFormat));
  }
  StoreState state;
  state.barrier = in.Get<uint64_t>();
  state.stored_bytes = in.Get<uint64_t>();
  state.chunks = in.Get<uint64_t>();
  if (!in.ok()) return absl::DataLossError("chunk index: damaged state record");
  state.boot_id = std::string(in.rest());
  return state;
}

void IndexBatch::PutRecord(const ChunkKey& key, const ChunkRecord& record) {
  batch_.Put(ChunkKeyIn(key), EncodeRecord(record));
}
void IndexBatch::DeleteRecord(const ChunkKey& key) { batch_.Delete(ChunkKeyIn(key)); }
void IndexBatch::PutUndo(uint64_t interval, const ChunkKey& key, const ChunkRecord* before) {
  batch_.Put(UndoKey(interval, key), before ? EncodeRecord(*before) : std::string());
}
void IndexBatch::DeleteUndo(uint64_t interval, const ChunkKey& key) {
  batch_.Delete(UndoKey(interval, key));
}
void IndexBatch::PutPatch(uint64_t id, const ChunkKey& key, std::string_view bytes) {
  std::string value = EncodeChunkKey(key);
  value += bytes;
  batch_.Put(PatchKey(id), value);
}
void IndexBatch::DeletePatch(uint64_t id) { batch_.Delete(PatchKey(id)); }
void IndexBatch::PutSlab(uint32_t slab, const SlabBitmap& bitmap) {
  batch_.Put(SlabKey(slab), bitmap.Encode());
}
void IndexBatch::PutState(const StoreState& state) { batch_.Put(kStateKey, state.Encode()); }
void IndexBatch::PutSequence(uint64_t limit) {
  std::string value;
  PutWord(value, limit);
  batch_.Put(kSequenceKey, value);
}

absl::Status ChunkIndex::Create(const std::string& dir, rocksdb::Env* env) {
  rocksdb::Options options = IndexOptions(1 << 20, env);
  options.create_if_missing = true;
  options.error_if_exists = true;
  rocksdb::DB* raw = nullptr;
  RETURN_IF_ERROR(FromRocks(rocksdb::DB::Open(options, dir, &raw), "create chunk index"));
  ChunkIndex index{std::unique_ptr<rocksdb::DB>(raw)};
  IndexBatch batch;
  batch.PutState(StoreState{});
  batch.PutSequence(1);
  return index.Write(batch, Sync::kYes);
}

absl::StatusOr<std::unique_ptr<ChunkIndex>> ChunkIndex::Open(const std::string& dir,
                                                             uint64_t cache_bytes,
                                                             rocksdb::Env* env) {
  rocksdb::Options options = IndexOptions(cache_bytes, env);
  if (options.env->FileExists(dir + "/CURRENT").IsNotFound()) {
    return absl::NotFoundError("the target has no chunk index");
  }
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(options, dir, &raw);
  if (opened.IsIOError() && opened.ToString().find("lock") != std::string::npos) {
    return absl::FailedPreconditionError("the target is in use: " + opened.ToString());
  }
  RETURN_IF_ERROR(FromRocks(opened, "open chunk index"));
  return std::unique_ptr<ChunkIndex>(new ChunkIndex(std::unique_ptr<rocksdb::DB>(raw)));
}

absl::StatusOr<std::optional<std::string>> ChunkIndex::GetBytes(std::string_view key) {
  std::string value;
  const rocksdb::Status got = db_->Get(rocksdb::ReadOptions(), AsSlice(key), &value);
  if (got.IsNotFound()) return std::optional<std::string>();
  RETURN_IF_ERROR(FromRocks(got, "read chunk index"));
  return std::optional<std::string>(std::move(value));
}

absl::StatusOr<std::optional<ChunkRecord>> ChunkIndex::Get(const ChunkKey& key) {
  rocksdb::PinnableSlice value;
  const rocksdb::Status got =
      db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), ChunkKeyIn(key), &value);
  if (got.IsNotFound()) return std::optional<ChunkRecord>();
  RETURN_IF_ERROR(FromRocks(got, "read chunk record"));
  ASSIGN_OR_RETURN(ChunkRecord record, DecodeRecord(AsView(value)));
  return std::optional<ChunkRecord>(std::move(record));
}

absl::StatusOr<bool> ChunkIndex::HasUndo(uint64_t interval, const ChunkKey& key) {
  ASSIGN_OR_RETURN(std::optional<std::string> value, GetBytes(UndoKey(interval, key)));
  return value.has_value();
}

absl::StatusOr<std::string> ChunkIndex::GetPatch(uint64_t id) {
  ASSIGN_OR_RETURN(std::optional<std::string> value, GetBytes(PatchKey(id)));
  if (!value) return absl::NotFoundError("deferred overwrite is gone");
  if (value->size() < 16) return absl::DataLossError("deferred overwrite: damaged");
  return value->substr(16);
}

absl::StatusOr<SlabBitmap> ChunkIndex::GetSlab(uint32_t slab) {
  ASSIGN_OR_RETURN(std::optional<std::string> value, GetBytes(SlabKey(slab)));
  if (!value) return absl::DataLossError("chunk index: a slab has no record");
  return SlabBitmap::Decode(*value);
}

absl::StatusOr<StoreState> ChunkIndex::GetState() {
  ASSIGN_OR_RETURN(std::optional<std::string> value, GetBytes(kStateKey));
  if (!value) return absl::DataLossError("chunk index: no state record");
  return StoreState::Decode(*value);
}

absl::StatusOr<uint64_t> ChunkIndex::GetSequence() {
  ASSIGN_OR_RETURN(std::optional<std::string> value, GetBytes(kSequenceKey));
  if (!value || value->size() != 8) return absl::DataLossError("chunk index: no sequence record");
  return WordReader(*value).Get<uint64_t>();
}

absl::Status ChunkIndex::Write(IndexBatch& batch, Sync sync) {
  rocksdb::WriteOptions options;
  options.sync = sync == Sync::kYes;
  rocksdb::Status written = db_->Write(options, &batch.batch_);
  if (written.IsNoSpace() && db_->Resume().ok()) {
    // The disk was full and has room again: the index had stopped writing until told.
    written = db_->Write(options, &batch.batch_);
  }
  return FromRocks(written, "write chunk index");
}

absl::Status ChunkIndex::VisitRange(const std::string& start, const std::string& end,
                                    Visitor<std::string_view, std::string_view> visit) {
  const rocksdb::Slice bound = end;
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &bound;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
  for (it->Seek(start); it->Valid(); it->Next()) {
    ASSIGN_OR_RETURN(bool more, visit(AsView(it->key()), AsView(it->value())));
    if (!more) return absl::OkStatus();
  }
  return FromRocks(it->status(), "scan chunk index");
}

absl::Status ChunkIndex::VisitGroup(uint32_t group, uint32_t group_count,
                                    std::optional<ChunkKey> start_after,
                                    Visitor<const ChunkKey&, const ChunkRecord&> visit) {
  // The key that follows directly is the same with a zero byte.
  const std::string start =
      start_after ? ChunkKeyIn(*start_after) + '\0' : GroupStart(group, group_count);
  return VisitRange(std::max(start, GroupStart(group, group_count)), GroupEnd(group, group_count),
                    [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
                      const auto chunk = DecodeChunkKey(key.substr(1));
                      if (!chunk) return absl::DataLossError("chunk index: damaged key");
                      ASSIGN_OR_RETURN(ChunkRecord record, DecodeRecord(value));
                      return visit(*chunk, record);
                    });
}

absl::Status ChunkIndex::VisitUndo(uint64_t first, uint64_t last,
                                   Visitor<uint64_t, const ChunkKey&, std::string_view> visit) {
  const std::string end =
      last == UINT64_MAX ? std::string(1, kUndoPrefix + 1) : UndoStart(last + 1);
  return VisitRange(UndoStart(first), end,
                    [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
                      const auto decoded = DecodeUndoKey(key);
                      if (!decoded) return absl::DataLossError("chunk index: damaged undo key");
                      return visit(decoded->first, decoded->second, value);
                    });
}

absl::Status ChunkIndex::VisitPatches(Visitor<uint64_t, const ChunkKey&, size_t> visit) {
  return VisitRange(std::string(1, kPatchPrefix), std::string(1, kPatchPrefix + 1),
                    [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
                      const auto id = DecodePatchKey(key);
                      const auto chunk = DecodeChunkKey(value.substr(0, 16));
                      if (!id || !chunk) return absl::DataLossError("chunk index: damaged patch");
                      return visit(*id, *chunk, value.size() - 16);
                    });
}

absl::Status ChunkIndex::VisitSlabs(Visitor<uint32_t, SlabBitmap> visit) {
  return VisitRange(std::string(1, kSlabPrefix), std::string(1, kSlabPrefix + 1),
                    [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
                      const auto slab = DecodeSlabKey(key);
                      if (!slab) return absl::DataLossError("chunk index: damaged slab key");
                      ASSIGN_OR_RETURN(SlabBitmap bitmap, SlabBitmap::Decode(value));
                      return visit(*slab, std::move(bitmap));
                    });
}

}  // namespace penstock::chunkserver
