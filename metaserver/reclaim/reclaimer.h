// Reclaimer works off, in the background, what unlink, truncate and dead clients leave: orphans
// that nobody holds, contents that no file names, truncations whose client died, and sessions that
// ended. Every step is safe to repeat after a crash: the record that asks for it goes last.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "metaserver/namespace.h"
#include "metaserver/reclaim/cluster_work.h"

namespace penstock::metaserver {

struct ReclaimerOptions {
  absl::Duration grace = absl::Seconds(10);  // an orphan or dead content stays at least so long
  absl::Duration every = absl::Seconds(1);
  size_t max_orders = 1000;  // deletions and truncations under way at once
  size_t max_orphans_a_round = 5000;
};

class Reclaimer {
 public:
  // The pointers must outlive the reclaimer.
  Reclaimer(ReclaimerOptions options, Namespace* names, ContentDeleter* deleter,
            SessionFence* fence);
  ~Reclaimer();  // Stop()
  void Start();
  void Stop();

  // One round, as the thread does it. For tests.
  absl::Status RunOnce();

  struct Counters {
    uint64_t orphans_reclaimed = 0;
    uint64_t contents_deleted = 0;
    uint64_t truncations_finished = 0;
  };
  Counters counters() const;

 private:
  // Callbacks of the cluster side may come after the reclaimer is gone; they hold this, not it.
  struct Finished;

  absl::Status VisitList(
      char list,
      absl::FunctionRef<absl::StatusOr<bool>(const std::string&, std::string_view)> visit);
  absl::Status ReclaimOrphans();
  absl::Status ReclaimOne(const std::string& key, const Orphan& orphan);
  absl::Status DeleteContents();
  absl::Status TakeOverTruncations();
  absl::StatusOr<std::optional<wire::TruncateContent>> TruncationOf(InodeNumber ino);
  absl::Status RemoveFinished();
  absl::Status FinishDeletion(const std::string& key);
  absl::Status FinishTruncation(const std::string& key);
  void Run();

  const ReclaimerOptions options_;
  Namespace* const names_;
  ContentDeleter* const deleter_;
  SessionFence* const fence_;
  const std::shared_ptr<Finished> finished_;
  absl::flat_hash_set<std::string> under_way_;  // keys of the records; only used in RunOnce
  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Counters counters_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace penstock::metaserver
