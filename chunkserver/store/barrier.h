// Barrier makes everything acknowledged durable, at least every so often and for whoever waits; one
// barrier serves all that wait. Its thread is the only one that syncs slabs. Order:
// 1. the journal's interval is closed: the bytes of its records have been handed over;
// 2. all dirty slabs are synced;
// 3. one synced index batch: the slabs' new bitmaps, counters, the barrier's number (the
// interval's);
//    undo records and freed patches of the interval go;
// 4. slots that the interval freed may be used again.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <string>
#include <thread>

#include "chunkserver/store/chunk_index.h"
#include "chunkserver/store/deferred_writes.h"
#include "chunkserver/store/interval_journal.h"
#include "chunkserver/store/slab_files.h"
#include "chunkserver/store/slot_allocator.h"
#include "common/clock.h"
#include "common/latency_histogram.h"

namespace penstock::chunkserver {

class Barrier {
 public:
  struct Parts {
    ChunkIndex* index;
    IntervalJournal* journal;
    SlabFiles* slabs;
    SlotAllocator* slots;
    DeferredWrites* deferred;
    Clock* clock;
    LatencyHistogram* times = nullptr;  // null: not counted
  };
  // All must outlive this. `state`: of the last barrier, with the boot id of now.
  Barrier(Parts parts, absl::Duration every, StoreState state)
      : parts_(parts), every_(every), state_(std::move(state)), number_(state_.barrier) {}
  ~Barrier() { Stop(); }

  void Start();
  // Makes a last barrier and joins. Safe to repeat.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // Returns after a barrier that began after this call.
  absl::Status Wait() ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t number() const { return number_.load(); }
  // An error once a barrier has failed otherwise than for lack of space: the kernel may have
  // dropped bytes, or the index takes no records, so nothing that this process could do makes them
  // durable.
  absl::Status health() const ABSL_LOCKS_EXCLUDED(mu_);

  // One barrier, from the calling thread; only before Start().
  absl::Status RunFirst() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status RunOnce() ABSL_LOCKS_EXCLUDED(mu_);
  // In the index: all up to the end of `interval` is durable.
  absl::Status Record(uint64_t interval);
  absl::Status AddBitmaps(IndexBatch& batch);
  void Fail(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  void Release();

  const Parts parts_;
  const absl::Duration every_;
  // Of the barrier thread only.
  StoreState state_;
  ResourceChange change_;    // of closed intervals, not durable yet
  ResourceChange released_;  // durable: its freed slots may be used again

  std::atomic<uint64_t> number_;
  mutable absl::Mutex mu_;                    // innermost
  uint64_t wanted_ ABSL_GUARDED_BY(mu_) = 0;  // runs are counted from 1
  uint64_t started_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t finished_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status last_ ABSL_GUARDED_BY(mu_);  // of the last finished run
  absl::Status failed_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace penstock::chunkserver
