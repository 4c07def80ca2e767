// SettingStore keeps what `penstock config` has set for the cluster: synced before it is in effect,
// and in effect before the change returns. What is not set is as the metaserver's start options
// say. Thread-safe; changes are the caller's to put in turn.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/synchronization/mutex.h>

#include <string>
#include <vector>

#include "common/clock.h"
#include "common/cluster_settings.h"
#include "metaserver/cluster/cluster_records.h"
#include "metaserver/log/replicated_log.h"
#include "proto/admin.pb.h"
#include "proto/cluster.pb.h"

namespace penstock::metaserver {

class SettingStore {
 public:
  // All pointers must outlive the store.
  struct Sources {
    MetaStore* store = nullptr;
    ReplicatedLog* log = nullptr;
    Clock* clock = nullptr;
  };
  // A stored setting that this program does not know, or finds out of its bounds, stays stored and
  // has no effect; the log says so.
  SettingStore(const ClusterSettings& defaults, const std::vector<record::Setting>& stored,
               const Sources& sources);

  ClusterSettings Current() const;
  std::vector<wire::Setting> Set() const;  // what is set, for chunkservers
  std::vector<wire::SettingInfo> List() const;
  wire::SettingInfo Info(const Setting& setting) const;

  struct Change {
    const Setting* setting = nullptr;
    std::string value;  // in its shortest form; empty: not set any more
    ClusterSettings next;
  };
  // What `text` would change; empty: back to the default. NOT_FOUND, INVALID_ARGUMENT as
  // FindSetting and SetFromText.
  absl::StatusOr<Change> Plan(const std::string& name, const std::string& text) const;
  // After an error nothing has changed.
  absl::Status Commit(const Change& change);

 private:
  ClusterSettings Combine(const absl::btree_map<std::string, std::string>& set) const;

  const ClusterSettings defaults_;
  const Sources sources_;
  mutable absl::Mutex mu_;                                              // innermost
  absl::btree_map<std::string, std::string> set_ ABSL_GUARDED_BY(mu_);  // of known names
  ClusterSettings current_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::metaserver
