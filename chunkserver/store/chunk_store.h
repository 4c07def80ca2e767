// ChunkStore keeps the chunks of one target: slab files with size classes and a RocksDB index, laid
// out as in docs/formats/chunk_store.md. Thread-safe. Knows nothing of replicas or networks.
//
// A chunk has at most one committed and at most one pending version. Stage() makes a change
// pending; Commit() makes it the committed one; Discard() forgets it. The committed version stays
// readable while another is pending.
//
// Durability: what Stage/Commit/Discard acknowledged was handed to the operating system and
// survives kill -9. It survives a power cut after the next Barrier(), which runs at least every
// `barrier_every`. After a power cut a chunk has an old or its new content, never a mix, never an
// unreadable one (DESIGN.md section 6).
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <absl/types/span.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/file.h"
#include "common/ids.h"
#include "common/latency_histogram.h"
#include "common/units.h"

namespace penstock::chunkserver {

// No target ever gets so far; what is above comes from damage or malice.
inline constexpr uint64_t kHighestSequence = uint64_t{1} << 62;

struct ChunkStoreOptions {
  std::string dir;                       // the target's directory, on one disk
  std::string label;                     // its name for people; empty: dir
  std::string cluster_id;                // must equal the identity file's
  uint64_t slab_bytes = 256 * kMiB;      // of one slab file, preallocated sparsely
  uint64_t reserve_bytes = 1 * kGiB;     // writes fail with ENOSPC below this much free space
  uint32_t max_chunk_bytes = 64 * kMiB;  // larger writes are refused
  absl::Duration barrier_every = absl::Seconds(1);
  uint64_t index_cache_bytes = 64 * kMiB;  // RocksDB block cache
  // Look through the whole index first, because the target has failed before.
  bool check_index = false;
  // Called before something is done at the opening by which what was acknowledged may get lost; an
  // error stops the opening. Empty: nothing is called.
  std::function<absl::Status()> before_loss;
};

// A member keeps the last few writes with the chunk and recognises a repeat.
struct ChannelRecord {
  WriteStamp stamp;
  ChunkVersion version;  // that the write produced
};

enum class ChangeKind : uint8_t { kWrite = 1, kTruncate = 2, kZero = 3, kDelete = 4, kReplace = 5 };

// One change of one chunk, as in proto/chunk.proto's ChunkWrite.
struct ChunkChange {
  ChangeKind kind = ChangeKind::kWrite;
  uint32_t offset = 0;          // kWrite, kZero; new length for kTruncate
  uint32_t length = 0;          // kZero
  absl::Span<const char> data;  // kWrite, kReplace
  uint32_t crc32c = 0;          // of data; checked before anything is changed (DATA_LOSS)
  WriteStamp stamp;
  // kReplace by one who has the whole chunk: take the place of the channels known here, which may
  // lack some. Not set: those known here stay.
  std::optional<std::vector<ChannelRecord>> channels;
};

// One whole chunk as another member has it committed.
struct ChunkContent {
  ChunkVersion version;
  absl::Span<const char> data;
  uint32_t crc32c = 0;                  // of data
  std::vector<ChannelRecord> channels;  // newest last
};

// What the index knows of one chunk.
struct ChunkInfo {
  ChunkVersion committed;       // not valid: absent (never written, or deleted)
  uint32_t logical_length = 0;  // of the committed version
  uint32_t stored_length = 0;
  std::optional<ChunkVersion> pending;
  ChangeKind pending_kind = ChangeKind::kWrite;
  bool pending_deletes = false;
  uint32_t pending_stored_length = 0;   // 0 of a deletion
  std::vector<ChannelRecord> channels;  // newest last, at most 8; those of the pending one included
  bool quarantined = false;             // its bytes failed their checksum: never served, not absent
  bool exists() const { return committed.valid(); }
};

struct ReadResult {
  ChunkVersion version;
  uint32_t logical_length = 0;
  uint32_t length = 0;  // bytes read; short at the chunk's end
  uint32_t crc32c = 0;  // of those bytes, after the stored block checksums were checked
};

struct SpaceUsage {
  uint64_t capacity_bytes = 0;  // of the file system
  uint64_t free_bytes = 0;      // above the reserve, free slots included
  uint64_t stored_bytes = 0;    // in chunks
  uint64_t chunks = 0;
  uint64_t device = 0;  // of the file system, see DiskSpace
  bool read_only = false;
};

// How long a store's work took, for metrics.
struct StoreTimes {
  LatencyHistogram read;     // one Read() or ReadNoWait() that had not to wait
  LatencyHistogram write;    // the bytes of one Stage(), written but not synced
  LatencyHistogram barrier;  // one barrier: all dirty slabs synced, the index too
};

// The identity of a target: `dir`/identity.json. A directory without it, or with another cluster's,
// is absent, never empty.
struct TargetIdentity {
  std::string cluster_id;
  std::string target_uuid;
  TargetId target_id;  // 0 until registered
};

// What a look through the whole index found.
struct IndexReport {
  uint64_t records = 0;
  uint64_t damage_count = 0;
  std::vector<std::string> damage;  // some of it, a line each
  uint64_t leaked_slots = 0;        // taken by nobody: their space is lost, nothing else
};

class ChunkStore {
 public:
  // Makes a new, empty target in `dir` (created if missing; must be empty). Synced when it returns.
  static absl::Status Format(const std::string& dir, const TargetIdentity& identity,
                             FileSystem* fs);
  static absl::StatusOr<TargetIdentity> ReadIdentity(const std::string& dir, FileSystem* fs);
  static absl::Status WriteIdentity(const std::string& dir, const TargetIdentity& identity,
                                    FileSystem* fs);

  // Opens and repairs what a crash left. `boot_id` is the machine's: under a new one the records
  // after the last barrier are checked against the data. FAILED_PRECONDITION with kAbsentTarget:
  // no identity, or a foreign one. `fs` and `clock` must outlive the store. Starts the barrier
  // thread.
  static absl::StatusOr<std::unique_ptr<ChunkStore>> Open(ChunkStoreOptions options,
                                                          const std::string& boot_id,
                                                          FileSystem* fs, Clock* clock);
  virtual ~ChunkStore() = default;

  // Makes `change` the pending version. OK when that very version is pending already.
  // FAILED_PRECONDITION: another version is pending, or the committed one is not older.
  // RESOURCE_EXHAUSTED (ENOSPC), DATA_LOSS (checksum of data or of the old bytes),
  // INVALID_ARGUMENT. After an error the chunk is unchanged.
  virtual absl::Status Stage(const ChunkKey& key, ChunkVersion version,
                             const ChunkChange& change) = 0;
  // OK when `version` is committed already. NOT_FOUND: it is neither pending nor committed (also
  // the repeat of a deletion, which leaves nothing behind).
  virtual absl::Status Commit(const ChunkKey& key, ChunkVersion version) = 0;
  // OK when `version` is not pending (any more).
  virtual absl::Status Discard(const ChunkKey& key, ChunkVersion version) = 0;

  // Makes `content` the committed version in place of whatever is here: a newer version, a
  // quarantined one, a pending one. For a member that takes another's state. After an error the
  // chunk is unchanged; errors as of Stage().
  virtual absl::Status Adopt(const ChunkKey& key, const ChunkContent& content) = 0;
  // Forgets the chunk, what is pending included. OK when it is absent.
  virtual absl::Status Drop(const ChunkKey& key) = 0;

  // Puts the same bytes, from another member, in place of damaged ones: the version stays, and what
  // was known of its writes, what is pending, too: where that was written behind the damaged bytes,
  // it comes along. FAILED_PRECONDITION: the committed version is not `content.version`. After an
  // error the chunk is unchanged.
  virtual absl::Status Mend(const ChunkKey& key, const ChunkContent& content) = 0;
  // Reads a quarantined chunk once more; OK: its bytes are right, and it is in service again (a
  // disk or memory that failed for a moment).
  virtual absl::Status Recheck(const ChunkKey& key) = 0;

  // Reads the committed version into `into`. NOT_FOUND: absent. DATA_LOSS: a checksum failed or the
  // disk could not read it; the chunk is quarantined from then on.
  virtual absl::StatusOr<ReadResult> Read(const ChunkKey& key, uint32_t offset,
                                          absl::Span<char> into) = 0;
  // The same without waiting for the disk. ABORTED: it would wait; call Read().
  virtual absl::StatusOr<ReadResult> ReadNoWait(const ChunkKey& /*key*/, uint32_t /*offset*/,
                                                absl::Span<char> /*into*/) {
    return absl::AbortedError("would wait for the disk");
  }
  // Reads the whole pending version (to resend it), into a new string.
  virtual absl::StatusOr<std::string> ReadPending(const ChunkKey& key) = 0;

  // An absent chunk is an info that does not exist(), not an error.
  virtual absl::StatusOr<ChunkInfo> Stat(const ChunkKey& key) = 0;
  // Reads every stored byte of the committed version and checks it.
  virtual absl::Status Verify(const ChunkKey& key) = 0;

  // Everything acknowledged before the call is on disk when it returns. Shared by all that wait.
  virtual absl::Status Barrier() = 0;
  virtual uint64_t barrier_number() const = 0;

  // A version sequence higher than any used before on this target, also before a crash or power
  // cut.
  virtual absl::StatusOr<uint64_t> NextSequence() = 0;
  // Lets sequences continue above one seen from elsewhere. INVALID_ARGUMENT: above
  // kHighestSequence.
  virtual absl::Status RaiseSequence(uint64_t seen) = 0;

  // Chunks of the group: all keys whose position AND (group_count - 1) == group, in key order from
  // after `start_after`; the visitor returns false to stop.
  virtual absl::Status VisitGroup(uint32_t group, uint32_t group_count,
                                  std::optional<ChunkKey> start_after,
                                  absl::FunctionRef<bool(const ChunkKey&, const ChunkInfo&)>) = 0;

  // Quarantined chunks, in key order from after `start_after`; the visitor returns false to stop.
  virtual absl::Status VisitDamaged(std::optional<ChunkKey> start_after,
                                    absl::FunctionRef<bool(const ChunkKey&)> visit) = 0;
  virtual uint64_t damaged_chunks() const = 0;

  // Checks the index: its files' checksums, that every record decodes, that no two chunks share a
  // slot, that the bitmaps agree. What is found makes Health() fail. DATA_LOSS: it cannot be read.
  virtual absl::StatusOr<IndexReport> CheckIndex() = 0;

  // Whether an absent chunk of this group and content may have been here: a damaged index lost
  // records since, and nobody knows. Such a chunk is no hole.
  virtual bool MayLack(GroupId group, ContentId content) const = 0;
  // The group's chunks are those of another member now, which may lack contents below
  // `unknown_below` (0: none); so may this store from now on.
  virtual absl::Status Followed(GroupId group, uint64_t unknown_below) = 0;

  virtual absl::StatusOr<SpaceUsage> Space() = 0;
  // What was acknowledged may be missing since the opening: a damaged index was made anew from what
  // could be read, or its log was damaged. Other members have what this one lacks.
  virtual bool lost_changes() const = 0;
  // An error: nothing can be trusted to be stored here any more until the store is opened again,
  // because a sync failed or the index is damaged. Reads of what is sound go on.
  virtual absl::Status Health() const = 0;
  virtual uint64_t checksum_errors() const = 0;
  virtual uint64_t io_errors() const = 0;
  virtual const TargetIdentity& identity() const = 0;

  // From the next write on; what lies in the reserve already stays.
  virtual void SetReserve(uint64_t bytes) = 0;
  virtual const StoreTimes& times() const = 0;
};

}  // namespace penstock::chunkserver
