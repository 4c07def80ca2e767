// SimLog is the metaserver's log of a simulated cluster: what it commits is in the store at once
// and survives everything. It can be full, and the process can die around a commit: before or after
// the change is stored, and nobody is told which.
#pragma once

#include <string>

#include "common/status.h"
#include "metaserver/log/replicated_log.h"
#include "metaserver/store/meta_store.h"
#include "tests/simulation/timeline.h"

namespace penstock::simulation {

class SimLog : public metaserver::ReplicatedLog {
 public:
  // Both outlive it.
  SimLog(metaserver::MetaStore* store, Timeline* time) : store_(store), time_(time) {}

  absl::StatusOr<uint64_t> Commit(rocksdb::WriteBatch batch, metaserver::Durability) override {
    if (died) return absl::UnavailableError("the process has died");
    if (full) return absl::ResourceExhaustedError("the metaserver's disk is full");
    died = time_->Chance(crash);
    if (died && time_->Pick(0, 1) == 0) return absl::UnavailableError("died before the commit");
    rocksdb::WriteOptions options;
    options.disableWAL = true;  // the store itself outlives every process in here
    const rocksdb::Status written = store_->db()->Write(options, &batch);
    INVARIANT(written.ok());
    if (died) return absl::UnavailableError("died after the commit");
    return ++index_;
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status RecoverFromFullDisk() override { return absl::OkStatus(); }
  uint64_t last_index() const override { return index_; }
  uint64_t last_synced_index() const override { return index_; }

  bool full = false;
  bool died = false;  // the process; whoever runs it has to look
  double crash = 0;   // likelihood, of each commit

 private:
  metaserver::MetaStore* const store_;
  Timeline* const time_;
  uint64_t index_ = 0;
};

// Nothing of an earlier cluster is left.
inline void EmptyStore(metaserver::MetaStore* store) {
  const auto all = store->Scan(metaserver::Family::kCluster, "");
  INVARIANT(all.ok());
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  for (const auto& [key, value] : *all) {
    store->db()->Delete(options, store->family(metaserver::Family::kCluster), key);
  }
}

}  // namespace penstock::simulation
