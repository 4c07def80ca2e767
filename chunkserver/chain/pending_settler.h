// PendingSettler brings to its end what stays pending because its client does not come back (a
// successor was away, the client died). Chunks are noted when a write through here failed or a read
// met a pending version; those still pending some seconds later are sent on. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <optional>
#include <thread>

#include "chunkserver/chain/chunk_locks.h"
#include "chunkserver/chain/write_chain.h"
#include "chunkserver/targets.h"
#include "common/clock.h"

namespace penstock::chunkserver {

class PendingSettler {
 public:
  struct Options {
    absl::Duration patience = absl::Seconds(2);  // the client has this long to come back
    absl::Duration call_timeout = absl::Seconds(5);
    size_t limit = 10'000;  // more are noted again when they are met again
  };
  // All must outlive it.
  PendingSettler(const Targets* targets, WriteChain* chain, Clock* clock, Options options);
  PendingSettler(const Targets* targets, WriteChain* chain, Clock* clock)
      : PendingSettler(targets, chain, clock, Options{}) {}
  ~PendingSettler();

  void Start();
  void Stop();
  void Note(TargetId target, uint32_t storage_class, const ChunkKey& key);
  size_t noted() const;

 private:
  struct Noted {
    uint32_t storage_class = 0;
    absl::Duration due;
  };
  struct Due {
    ChunkLockId id;
    uint32_t storage_class = 0;
  };
  void Run();
  std::optional<Due> TakeDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SettleOne(const Due& due);

  const Targets* const targets_;
  WriteChain* const chain_;
  Clock* const clock_;
  const Options options_;
  mutable absl::Mutex mu_;  // innermost
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  absl::btree_map<ChunkLockId, Noted> noted_ ABSL_GUARDED_BY(mu_);
  int settled_ = 0;  // since the last line in the log; only the thread uses it
  std::thread thread_;
};

}  // namespace penstock::chunkserver
