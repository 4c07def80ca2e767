// IdBlocks hands out numbers that are never used twice: taken from the log in synced blocks, the
// rest of a block is skipped after a restart. Thread-safe. The next block is fetched while half of
// the last is left, so that hardly anybody waits.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <string>

#include "metaserver/log/replicated_log.h"
#include "metaserver/store/meta_store.h"

namespace penstock::metaserver {

class IdBlocks {
 public:
  struct Options {
    Family family = Family::kDefault;
    std::string key;         // of the record: the first number that no block has
    uint64_t first = 1;      // of a new store
    uint64_t limit = ~0ull;  // exclusive
    uint64_t block = 4096;
  };
  IdBlocks(Options options, MetaStore* store, ReplicatedLog* log);

  // RESOURCE_EXHAUSTED at the limit; the log's error when no block can be taken.
  absl::StatusOr<uint64_t> Next();

 private:
  absl::Status TakeBlock();

  const Options options_;
  MetaStore* const store_;
  ReplicatedLog* const log_;
  absl::Mutex mu_;
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t end_ ABSL_GUARDED_BY(mu_) = 0;         // of the block in use
  uint64_t spare_next_ ABSL_GUARDED_BY(mu_) = 0;  // the block fetched ahead
  uint64_t spare_end_ ABSL_GUARDED_BY(mu_) = 0;
  bool taking_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace penstock::metaserver
