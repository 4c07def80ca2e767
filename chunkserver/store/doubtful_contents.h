// DoubtfulContents knows which chunks without a record may have been here once: after an index has
// lost records, an absent chunk is no hole. Content ids only grow, so contents above all that were
// ever recorded are not in doubt; that bound, and what is in doubt, is contents.json in the
// target's directory (docs/formats/contents_json.md), outside of the index. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/file.h"
#include "common/ids.h"

namespace penstock::chunkserver {

class DoubtfulContents {
 public:
  // How far the bound goes ahead: little while few contents are made, so that little is in doubt.
  static constexpr uint64_t kLeastAhead = 64;
  static constexpr uint64_t kMostAhead = 64 * 1024;

  // Reads what stands in `dir`; without a file, or with a damaged one, any content may be here.
  // FAILED_PRECONDITION: a format that this program does not know. `fs` and `clock` outlive it.
  static absl::StatusOr<std::unique_ptr<DoubtfulContents>> Load(const std::string& dir,
                                                                FileSystem* fs, Clock* clock);
  // Of a new, empty target.
  static absl::Status Create(const std::string& dir, FileSystem* fs);

  // Before a chunk of this content is recorded.
  absl::Status Cover(ContentId content) ABSL_LOCKS_EXCLUDED(mu_);

  // Before records are lost: all contents that were ever recorded are in doubt, in all groups.
  absl::Status Doubt() ABSL_LOCKS_EXCLUDED(mu_);
  // Before the end of the index's log is lost. Whether that means doubt is known later.
  absl::Status NoteLogCut() ABSL_LOCKS_EXCLUDED(mu_);
  bool log_cut() const ABSL_LOCKS_EXCLUDED(mu_);
  // `expected`: a power cut explains it.
  absl::Status SettleLogCut(bool expected) ABSL_LOCKS_EXCLUDED(mu_);
  // The group was brought to another member's state; for that one contents below `bound` were in
  // doubt, 0: none.
  absl::Status Followed(GroupId group, uint64_t bound) ABSL_LOCKS_EXCLUDED(mu_);

  bool Has(GroupId group, ContentId content) const ABSL_LOCKS_EXCLUDED(mu_);
  bool any() const { return any_.load(std::memory_order_acquire); }

  struct State {
    uint64_t below = UINT64_MAX;  // all recorded contents are
    uint64_t unknown_below = 0;   // contents in doubt, in groups that are not named
    bool log_cut = false;
    absl::btree_map<GroupId, uint64_t> groups;  // their own bounds
  };
  // To put back what Doubt() changed, when nothing was lost after all.
  State state() const ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Restore(const State& state) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  DoubtfulContents(std::string dir, FileSystem* fs, Clock* clock, State state);
  // Saves the state as `change` makes it; it is in effect once it is saved.
  absl::Status Change(absl::FunctionRef<void(State&)> change) ABSL_LOCKS_EXCLUDED(mu_);
  void SetState(State state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string dir_;
  FileSystem* const fs_;  // not owned
  Clock* const clock_;    // not owned
  std::atomic<uint64_t> below_{0};
  std::atomic<bool> any_{false};
  mutable absl::Mutex mu_;  // innermost; not held over the disk
  State state_ ABSL_GUARDED_BY(mu_);
  bool saving_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t ahead_ ABSL_GUARDED_BY(mu_) = kLeastAhead;
  absl::Duration raised_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
};

}  // namespace penstock::chunkserver
