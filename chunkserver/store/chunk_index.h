// ChunkIndex is the RocksDB of one target: records of chunks, what they were at the last barrier,
// bytes of deferred overwrites, bitmaps of slabs. Thread-safe. The only file of the room that knows
// RocksDB. A write is handed to the operating system before it returns; only Sync writes are
// synced.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

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

  // Makes an empty index in `dir`, whose parent exists. `env` null: the machine's.
  static absl::Status Create(const std::string& dir, rocksdb::Env* env);
  // FAILED_PRECONDITION: another process has it open. NOT_FOUND: there is none.
  static absl::StatusOr<std::unique_ptr<ChunkIndex>> Open(const std::string& dir,
                                                          uint64_t cache_bytes, rocksdb::Env* env);

  absl::StatusOr<std::optional<ChunkRecord>> Get(const ChunkKey& key);
  absl::StatusOr<bool> HasUndo(uint64_t interval, const ChunkKey& key);
  // NOT_FOUND: dropped meanwhile.
  absl::StatusOr<std::string> GetPatch(uint64_t id);
  absl::StatusOr<SlabBitmap> GetSlab(uint32_t slab);
  absl::StatusOr<StoreState> GetState();
  absl::StatusOr<uint64_t> GetSequence();

  absl::Status Write(IndexBatch& batch, Sync sync);

  // In key order, from a consistent snapshot, until the visitor returns an error or false.
  template <typename... Args>
  using Visitor = absl::FunctionRef<absl::StatusOr<bool>(Args...)>;
  absl::Status VisitGroup(uint32_t group, uint32_t group_count, std::optional<ChunkKey> start_after,
                          Visitor<const ChunkKey&, const ChunkRecord&> visit);
  // Undo entries of the intervals from `first` to `last`; oldest interval first.
  absl::Status VisitUndo(uint64_t first, uint64_t last,
                         Visitor<uint64_t, const ChunkKey&, std::string_view> visit);
  absl::Status VisitPatches(Visitor<uint64_t, const ChunkKey&, size_t> visit);
  absl::Status VisitSlabs(Visitor<uint32_t, SlabBitmap> visit);

 private:
  explicit ChunkIndex(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}
  absl::StatusOr<std::optional<std::string>> GetBytes(std::string_view key);
  absl::Status VisitRange(const std::string& start, const std::string& end,
                          Visitor<std::string_view, std::string_view> visit);

  const std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace penstock::chunkserver
