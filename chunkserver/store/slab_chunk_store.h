// SlabChunkStore is the ChunkStore of a real target. It ties the room's parts together: a call
// takes its chunk's lock, reads the record, has ImageWriter or ImageReader move bytes, and changes
// the record through IntervalJournal. Bytes always reach the operating system before the record
// that names them.
#pragma once

#include <rocksdb/env.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "chunkserver/store/barrier.h"
#include "chunkserver/store/chunk_index.h"
#include "chunkserver/store/chunk_locks.h"
#include "chunkserver/store/chunk_store.h"
#include "chunkserver/store/deferred_writes.h"
#include "chunkserver/store/doubtful_contents.h"
#include "chunkserver/store/image_reader.h"
#include "chunkserver/store/image_writer.h"
#include "chunkserver/store/interval_journal.h"
#include "chunkserver/store/sequence_source.h"
#include "chunkserver/store/slab_files.h"
#include "chunkserver/store/slot_allocator.h"

namespace penstock::chunkserver {

// What a test replaces; all outlive the store.
struct StoreSeams {
  FileSystem* fs;
  Clock* clock;
  rocksdb::Env* index_env = nullptr;  // null: the machine's
};

class SlabChunkStore : public ChunkStore {
 public:
  static absl::Status Format(const std::string& dir, const TargetIdentity& identity,
                             const StoreSeams& seams);
  static absl::StatusOr<std::unique_ptr<SlabChunkStore>> Open(ChunkStoreOptions options,
                                                              const std::string& boot_id,
                                                              const StoreSeams& seams);
  ~SlabChunkStore() override;

  absl::Status Stage(const ChunkKey& key, ChunkVersion version, const ChunkChange& change) override;
  absl::Status Commit(const ChunkKey& key, ChunkVersion version) override;
  absl::Status Discard(const ChunkKey& key, ChunkVersion version) override;
  absl::Status Adopt(const ChunkKey& key, const ChunkContent& content) override;
  absl::Status Drop(const ChunkKey& key) override;
  absl::Status Mend(const ChunkKey& key, const ChunkContent& content) override;
  absl::Status Recheck(const ChunkKey& key) override;

  absl::StatusOr<ReadResult> Read(const ChunkKey& key, uint32_t offset,
                                  absl::Span<char> into) override;
  absl::StatusOr<ReadResult> ReadNoWait(const ChunkKey& key, uint32_t offset,
                                        absl::Span<char> into) override;
  absl::StatusOr<std::string> ReadPending(const ChunkKey& key) override;
  absl::StatusOr<ChunkInfo> Stat(const ChunkKey& key) override;
  absl::Status Verify(const ChunkKey& key) override;

  absl::Status Barrier() override { return barrier_->Wait(); }
  uint64_t barrier_number() const override { return barrier_->number(); }
  absl::StatusOr<uint64_t> NextSequence() override { return sequences_->Next(); }
  absl::Status RaiseSequence(uint64_t seen) override { return sequences_->Raise(seen); }

  absl::Status VisitGroup(uint32_t group, uint32_t group_count, std::optional<ChunkKey> start_after,
                          absl::FunctionRef<bool(const ChunkKey&, const ChunkInfo&)>) override;

  absl::Status VisitDamaged(std::optional<ChunkKey> start_after,
                            absl::FunctionRef<bool(const ChunkKey&)> visit) override;
  uint64_t damaged_chunks() const override;
  absl::StatusOr<IndexReport> CheckIndex() override;

  bool MayLack(GroupId group, ContentId content) const override {
    return contents_->Has(group, content);
  }
  absl::Status Followed(GroupId group, uint64_t unknown_below) override {
    return contents_->Followed(group, unknown_below);
  }

  absl::StatusOr<SpaceUsage> Space() override;
  void SetReserve(uint64_t bytes) override { reserve_bytes_ = bytes; }
  bool lost_changes() const override { return lost_changes_; }
  absl::Status Health() const override;
  uint64_t checksum_errors() const override { return checksum_errors_.load(); }
  uint64_t io_errors() const override { return io_errors_.load(); }
  const StoreTimes& times() const override { return times_; }
  const TargetIdentity& identity() const override { return identity_; }

 private:
  SlabChunkStore(ChunkStoreOptions options, TargetIdentity identity, const StoreSeams& seams,
                 std::unique_ptr<ChunkIndex> index, std::unique_ptr<DoubtfulContents> contents);
  static absl::StatusOr<std::unique_ptr<SlabChunkStore>> OpenOnce(const ChunkStoreOptions& options,
                                                                  const std::string& boot_id,
                                                                  const StoreSeams& seams);
  absl::Status Start(const std::string& boot_id);

  const std::string& label() const {
    return options_.label.empty() ? options_.dir : options_.label;
  }
  absl::Status CheckChange(ChunkVersion version, const ChunkChange& change) const;
  enum class Reserve : uint8_t { kKeep, kUse };
  absl::Status CheckSpace(const ChunkImage& base, const ChunkChange& change);
  // The pending image of `change`; takes the base out of service where its bytes are wrong.
  absl::StatusOr<WrittenImage> WriteImage(const ChunkKey& key, const ChunkRecord* record,
                                          const ChunkChange& change,
                                          Reserve reserve = Reserve::kKeep);
  // The whole pending content, which lies in the same slot as a damaged one, of the sound bytes of
  // that one and its own.
  absl::StatusOr<std::string> PendingOver(const ChunkRecord& record, absl::Span<const char> base);

  absl::StatusOr<ReadResult> ReadOnce(const ChunkKey& key, uint32_t offset, absl::Span<char> into,
                                      ImageReader::Wait wait);
  // The committed record, fit for reading.
  absl::StatusOr<ChunkRecord> Committed(const ChunkKey& key);
  // Counts what went wrong; under the chunk's lock, so that it is no race. Takes the chunk out of
  // service when its bytes are wrong.
  absl::Status ReadFailed(const ChunkKey& key, absl::Status why);
  void Count(const absl::Status& status);
  // Counts it; what another copy can still take is to be tried again.
  absl::Status WriteFailed(const absl::Status& status);

  const ChunkStoreOptions options_;
  const TargetIdentity identity_;
  FileSystem* const fs_;  // not owned
  Clock* const clock_;    // not owned
  const std::unique_ptr<ChunkIndex> index_;
  const std::unique_ptr<DoubtfulContents> contents_;
  ChunkLocks locks_;
  SlabFiles slabs_;
  SlotAllocator slots_;
  ImageReader reader_;
  // Made by Start(), constant afterwards.
  std::unique_ptr<IntervalJournal> journal_;
  std::unique_ptr<ImageWriter> writer_;
  std::unique_ptr<DeferredWrites> deferred_;
  std::unique_ptr<SequenceSource> sequences_;
  std::unique_ptr<chunkserver::Barrier> barrier_;

  StoreTimes times_;
  std::atomic<uint64_t> reserve_bytes_;
  bool lost_changes_ = false;  // constant after Open
  std::atomic<uint64_t> checksum_errors_{0};
  std::atomic<uint64_t> io_errors_{0};
  std::atomic<bool> read_only_{false};  // a write has met it
};

}  // namespace penstock::chunkserver
