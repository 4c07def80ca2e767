// IntervalJournal divides time into intervals between barriers and collects, for the open one, what
// record changes did to slots, patches and counters. Thread-safe.
//
// Order: bytes are written to slabs before their record is written here; a record's interval is the
// one that is open while it is written. So when Close() returns, the bytes of every record of the
// closed interval have been handed to the operating system, and a sync of the slabs makes them
// durable. The first change of a record in an interval also writes what it was before (undo): a
// start after a power cut restores that where the bytes did not arrive.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <optional>
#include <string>

#include "chunkserver/store/chunk_index.h"
#include "chunkserver/store/chunk_record.h"

namespace penstock::chunkserver {

struct NewPatch {
  uint64_t id = 0;
  std::string bytes;
};

class IntervalJournal {
 public:
  // `index` must outlive this. `state`: of the last barrier.
  IntervalJournal(ChunkIndex* index, uint64_t first_interval, const StoreState& state)
      : index_(index),
        interval_(first_interval),
        totals_{static_cast<int64_t>(state.stored_bytes), static_cast<int64_t>(state.chunks), 0} {}

  // Changes the record of `key` from `before` to `after` (null: none). The caller holds the chunk's
  // lock. Sets after->interval. After an error it is unknown whether the change will be found at
  // the next start, so what it names must not be reused.
  absl::Status Change(const ChunkKey& key, const ChunkRecord* before, ChunkRecord* after,
                      const std::optional<NewPatch>& patch = std::nullopt)
      ABSL_LOCKS_EXCLUDED(gate_, mu_);

  struct Closed {
    uint64_t interval = 0;
    ResourceChange change;
  };
  // Closes the open interval and opens the next one.
  Closed Close() ABSL_LOCKS_EXCLUDED(gate_, mu_);

  uint64_t open_interval() const ABSL_LOCKS_EXCLUDED(gate_);
  // Says that there is something for a barrier besides changes of records.
  void MarkDirty() ABSL_LOCKS_EXCLUDED(mu_);
  bool dirty() const ABSL_LOCKS_EXCLUDED(mu_);
  // Start-up: changes of earlier intervals that no barrier has made durable.
  void AddUnfinished(ResourceChange change) ABSL_LOCKS_EXCLUDED(mu_);
  // Start-up: as many chunks are in quarantine.
  void SetDamaged(int64_t count) ABSL_LOCKS_EXCLUDED(mu_);

  struct Totals {
    int64_t stored_bytes = 0;
    int64_t chunks = 0;
    int64_t damaged = 0;
  };
  Totals totals() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Add(ResourceChange change) ABSL_LOCKS_EXCLUDED(mu_);

  ChunkIndex* const index_;  // not owned
  // Held shared while a record is written, exclusively to change intervals. Before mu_.
  mutable absl::Mutex gate_;
  uint64_t interval_ ABSL_GUARDED_BY(gate_);
  mutable absl::Mutex mu_ ABSL_ACQUIRED_AFTER(gate_);
  ResourceChange change_ ABSL_GUARDED_BY(mu_);
  Totals totals_ ABSL_GUARDED_BY(mu_);  // of now, durable or not
  bool dirty_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace penstock::chunkserver
