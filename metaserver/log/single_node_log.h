// SingleNodeLog is the ReplicatedLog of one metaserver: RocksDB's write-ahead log. Group commit:
// whoever finds the log free writes for all that wait, in one RocksDB write. Order on disk: batch
// and log index in one WAL record; the WAL is synced every `sync_every` and on demand.
// Thread-safe. Lock order: mu_ is innermost and never held over a write or a sync.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <deque>
#include <memory>
#include <thread>

#include "metaserver/log/replicated_log.h"
#include "metaserver/store/meta_store.h"

namespace penstock::metaserver {

struct SingleNodeLogOptions {
  absl::Duration sync_every = absl::Milliseconds(100);  // what a power cut may take
  size_t max_group = 256;                               // entries written at once
  size_t max_group_bytes = 4 << 20;
};

class SingleNodeLog : public ReplicatedLog {
 public:
  // `store` must outlive the log.
  static absl::StatusOr<std::unique_ptr<SingleNodeLog>> Open(MetaStore* store,
                                                             SingleNodeLogOptions options = {});
  ~SingleNodeLog() override;  // syncs what is not

  absl::StatusOr<uint64_t> Commit(rocksdb::WriteBatch batch, Durability durability) override;
  absl::Status Sync() override;
  absl::Status RecoverFromFullDisk() override;
  uint64_t last_index() const override { return last_index_.load(std::memory_order_acquire); }
  uint64_t last_synced_index() const override {
    return synced_index_.load(std::memory_order_acquire);
  }

  // As if the disk had failed: everything after it is refused. For tests.
  void FailForTest(absl::Status status);

 private:
  struct Waiter;
  SingleNodeLog(MetaStore* store, SingleNodeLogOptions options, uint64_t last_index);
  void WriteGroup();  // by the leader
  absl::Status WriteMerged(const std::vector<Waiter*>& group, uint64_t last);
  absl::Status SyncTo(uint64_t index);
  void SyncLoop();
  void Latch(const absl::Status& status);

  MetaStore* const store_;  // not owned
  const SingleNodeLogOptions options_;
  std::atomic<uint64_t> last_index_;
  std::atomic<uint64_t> synced_index_;
  absl::Mutex mu_;
  std::deque<Waiter*> queue_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool syncing_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);  // the first error; ENOSPC can be recovered from
  std::thread sync_thread_;
};

}  // namespace penstock::metaserver
