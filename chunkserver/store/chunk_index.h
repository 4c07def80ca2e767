// ChunkIndex is the RocksDB of one target: records of chunks, what they were at the last barrier,
// bytes of deferred overwrites, bitmaps of slabs. Thread-safe. The only file of the room that knows
// RocksDB. A write is handed to the operating system before it returns; only Sync writes are
// synced.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/types/span.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "chunkserver/store/chunk_record.h"
#include "chunkserver/store/slot_allocator.h"
#include "common/ids.h"

namespace penstock::chunkserver {

// One record for the whole target, written with each barrier.
struct StoreState {
  uint64_t barrier = 0;  // intervals up to this one are durable
  uint64_t stored_bytes = 0;
  uint64_t chunks = 0;
  std::string boot_id;  // of the machine when it was written
  std::string Encode() const;
  static absl::StatusOr<StoreState> Decode(std::string_view bytes);
};

// Several changes that happen together or not at all.
class IndexBatch {
 public:
  void PutRecord(const ChunkKey& key, const ChunkRecord& record);
  void DeleteRecord(const ChunkKey& key);
  // Keeps the list of quarantined chunks.
  void SetDamaged(const ChunkKey& key, bool damaged);
  void PutUndo(uint64_t interval, const ChunkKey& key, const ChunkRecord* before);
  void DeleteUndo(uint64_t interval, const ChunkKey& key);
  void PutPatch(uint64_t id, const ChunkKey& key, std::string_view bytes);
  void DeletePatch(uint64_t id);
  void PutSlab(uint32_t slab, const SlabBitmap& bitmap);
  void PutState(const StoreState& state);
  void PutSequence(uint64_t limit);

 private:
  friend class ChunkIndex;
  rocksdb::WriteBatch batch_;
};

class ChunkIndex {
 public:
  enum class Sync { kNo, kYes };
  template <typename... Args>
  using Visitor = absl::FunctionRef<absl::StatusOr<bool>(Args...)>;

  // Makes an empty index in `dir`, whose parent exists. `env` null: the machine's.
  static absl::Status Create(const std::string& dir, rocksdb::Env* env);
  // FAILED_PRECONDITION: another process has it open. NOT_FOUND: there is none. DATA_LOSS: it is
  // damaged, or the disk cannot read it. `before_cut` is called before the end of a log that cannot
  // be read is given up.
  static absl::StatusOr<std::unique_ptr<ChunkIndex>> Open(
      const std::string& dir, uint64_t cache_bytes, rocksdb::Env* env,
      const std::function<absl::Status()>& before_cut = nullptr);

  // The end of its log could not be read at the opening: what was written last may be missing.
  bool log_cut() const { return log_cut_; }

  // Of damaged indexes and their files (index_files.cc, rebuild_index.h).
  static absl::StatusOr<std::unique_ptr<ChunkIndex>> OpenToRead(const std::string& dir,
                                                                rocksdb::Env* env);
  static bool Exists(const std::string& dir, rocksdb::Env* env);
  static absl::Status Remove(const std::string& dir, rocksdb::Env* env);  // OK when there is none
  static absl::Status Copy(const std::string& from, const std::string& to, rocksdb::Env* env);
  static absl::Status Move(const std::string& from, const std::string& to, rocksdb::Env* env);
  static absl::Status Repair(const std::string& dir, rocksdb::Env* env);
  // What can be read of the keys with this prefix; returns how many places could not.
  uint64_t VisitReadable(char prefix,
                         absl::FunctionRef<void(std::string_view, std::string_view)> visit);

  absl::StatusOr<std::optional<ChunkRecord>> Get(const ChunkKey& key);
  absl::StatusOr<bool> HasUndo(uint64_t interval, const ChunkKey& key);
  // NOT_FOUND: dropped meanwhile.
  absl::StatusOr<std::string> GetPatch(uint64_t id);
  absl::StatusOr<SlabBitmap> GetSlab(uint32_t slab);
  absl::StatusOr<StoreState> GetState();
  absl::StatusOr<uint64_t> GetSequence();

  absl::Status Write(IndexBatch& batch, Sync sync);

  // Reads all table files and checks their checksums. DATA_LOSS: damaged.
  absl::Status VerifyFiles();
  // Everything that begins with one of `prefixes`, in this order, of one consistent state.
  absl::Status VisitSnapshot(absl::Span<const char> prefixes,
                             Visitor<std::string_view, std::string_view> visit);
  // What it says contradicts itself: as if the database had answered with a corruption.
  void Condemn(std::string_view why) ABSL_LOCKS_EXCLUDED(mu_);

  // DATA_LOSS once the database has answered with a corruption or could not be read: what it says
  // can no longer be trusted to be all that was written.
  absl::Status health() const ABSL_LOCKS_EXCLUDED(mu_);

  // In key order, from a consistent snapshot, until the visitor returns an error or false.
  absl::Status VisitGroup(uint32_t group, uint32_t group_count, std::optional<ChunkKey> start_after,
                          Visitor<const ChunkKey&, const ChunkRecord&> visit);
  // Undo entries of the intervals from `first` to `last`; oldest interval first.
  absl::Status VisitUndo(uint64_t first, uint64_t last,
                         Visitor<uint64_t, const ChunkKey&, std::string_view> visit);
  absl::Status VisitDamaged(std::optional<ChunkKey> start_after, Visitor<const ChunkKey&> visit);
  absl::Status VisitPatches(Visitor<uint64_t, const ChunkKey&, size_t> visit);
  absl::Status VisitSlabs(Visitor<uint32_t, SlabBitmap> visit);

 private:
  explicit ChunkIndex(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}
  // As a status of ours; remembers a corruption, and a read that the disk cannot do.
  enum class Access : uint8_t { kRead, kWrite };
  absl::Status Note(const rocksdb::Status& status, std::string_view what,
                    Access access = Access::kRead) ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::optional<std::string>> GetBytes(std::string_view key);
  absl::Status VisitRange(const std::string& start, const std::string& end,
                          Visitor<std::string_view, std::string_view> visit);

  const std::unique_ptr<rocksdb::DB> db_;
  bool log_cut_ = false;    // constant after Open
  mutable absl::Mutex mu_;  // innermost
  absl::Status damage_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::chunkserver
