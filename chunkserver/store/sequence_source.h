// SequenceSource gives version sequences that grow over the target's whole life. They are reserved
// in synced blocks before use, so a crash skips some and repeats none. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>

#include "chunkserver/store/chunk_index.h"

namespace penstock::chunkserver {

class SequenceSource {
 public:
  static constexpr uint64_t kBlock = 1'000'000;

  // `index` must outlive this. All below `used_below` may have been used.
  SequenceSource(ChunkIndex* index, uint64_t used_below)
      : index_(index), next_(used_below), limit_(used_below) {}

  absl::StatusOr<uint64_t> Next() ABSL_LOCKS_EXCLUDED(mu_);
  // INVALID_ARGUMENT: above kHighestSequence.
  absl::Status Raise(uint64_t seen) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Waits until next_ lies below the reserved limit; reserves if nobody else does. Lets go of the
  // lock meanwhile.
  absl::Status Reserve() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  ChunkIndex* const index_;  // not owned
  absl::Mutex mu_;           // innermost; not held over the sync
  uint64_t next_ ABSL_GUARDED_BY(mu_);
  uint64_t limit_ ABSL_GUARDED_BY(mu_);  // durable
  bool reserving_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace penstock::chunkserver
