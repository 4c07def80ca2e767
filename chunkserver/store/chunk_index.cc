#include "chunkserver/store/chunk_index.h"

#include <rocksdb/options.h>

#include <cerrno>

#include "chunkserver/store/index_keys.h"
#include "chunkserver/store/index_options.h"
#include "chunkserver/store/little_endian.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr uint8_t kStateFormat = 1;

rocksdb::Slice AsSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view AsView(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

// A bad sector under the index is as bad as wrong bytes.
absl::Status UnreadableIsDamaged(const rocksdb::Status& status, absl::Status noted) {
  if (!status.IsIOError() || AttachedErrno(noted) != EIO) return noted;
  return absl::DataLossError(noted.message());
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
void IndexBatch::SetDamaged(const ChunkKey& key, bool damaged) {
  if (damaged) {
    batch_.Put(DamagedKey(key), rocksdb::Slice());
  } else {
    batch_.Delete(DamagedKey(key));
  }
}
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
  RETURN_IF_ERROR(IndexStatus(rocksdb::DB::Open(options, dir, &raw), "create chunk index"));
  ChunkIndex index{std::unique_ptr<rocksdb::DB>(raw)};
  IndexBatch batch;
  batch.PutState(StoreState{});
  batch.PutSequence(1);
  return index.Write(batch, Sync::kYes);
}

absl::StatusOr<std::unique_ptr<ChunkIndex>> ChunkIndex::Open(
    const std::string& dir, uint64_t cache_bytes, rocksdb::Env* env,
    const std::function<absl::Status()>& before_cut) {
  rocksdb::Options options = IndexOptions(cache_bytes, env);
  if (options.env->FileExists(dir + "/CURRENT").IsNotFound()) {
    return absl::NotFoundError("the target has no chunk index");
  }
  // Whole, as after a clean stop or kill -9. Else as far as it is whole: what a power cut left, or
  // a damaged log, which only the boot id tells apart.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
  rocksdb::DB* raw = nullptr;
  rocksdb::Status opened = rocksdb::DB::Open(options, dir, &raw);
  const bool log_cut = opened.IsCorruption();
  if (log_cut) {
    if (before_cut) RETURN_IF_ERROR(before_cut());
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    opened = rocksdb::DB::Open(options, dir, &raw);
  }
  if (opened.IsIOError() && opened.ToString().find("lock") != std::string::npos) {
    return absl::FailedPreconditionError("the target is in use: " + opened.ToString());
  }
  // CURRENT names a file that is not there.
  if (opened.IsPathNotFound()) return absl::DataLossError("open chunk index: " + opened.ToString());
  RETURN_IF_ERROR(UnreadableIsDamaged(opened, IndexStatus(opened, "open chunk index")));
  std::unique_ptr<ChunkIndex> index(new ChunkIndex(std::unique_ptr<rocksdb::DB>(raw)));
  index->log_cut_ = log_cut;
  return index;
}

absl::Status ChunkIndex::Note(const rocksdb::Status& status, std::string_view what, Access access) {
  if (status.ok()) return absl::OkStatus();
  absl::Status noted = IndexStatus(status, what);
  if (access == Access::kRead) noted = UnreadableIsDamaged(status, std::move(noted));
  if (absl::IsDataLoss(noted)) {
    absl::MutexLock lock(&mu_);
    damage_.Update(noted);
  }
  return noted;
}

absl::Status ChunkIndex::health() const {
  absl::MutexLock lock(&mu_);
  return damage_;
}

absl::StatusOr<std::optional<std::string>> ChunkIndex::GetBytes(std::string_view key) {
  std::string value;
  const rocksdb::Status got = db_->Get(rocksdb::ReadOptions(), AsSlice(key), &value);
  if (got.IsNotFound()) return std::optional<std::string>();
  RETURN_IF_ERROR(Note(got, "read chunk index"));
  return std::optional<std::string>(std::move(value));
}

absl::StatusOr<std::optional<ChunkRecord>> ChunkIndex::Get(const ChunkKey& key) {
  rocksdb::PinnableSlice value;
  const rocksdb::Status got =
      db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), ChunkKeyIn(key), &value);
  if (got.IsNotFound()) return std::optional<ChunkRecord>();
  RETURN_IF_ERROR(Note(got, "read chunk record"));
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
  return Note(written, "write chunk index", Access::kWrite);
}

absl::Status ChunkIndex::VerifyFiles() {
  // What is only in the log goes to a table file, too, so that all of it is looked at.
  const rocksdb::Status flushed = db_->Flush(rocksdb::FlushOptions());
  if (!flushed.IsNoSpace()) RETURN_IF_ERROR(Note(flushed, "flush chunk index", Access::kWrite));
  return Note(db_->VerifyChecksum(), "check chunk index");
}

void ChunkIndex::Condemn(std::string_view why) {
  absl::MutexLock lock(&mu_);
  damage_.Update(absl::DataLossError(std::string(why)));
}

}  // namespace penstock::chunkserver
