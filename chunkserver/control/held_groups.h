// HeldGroups looks, when the metaserver asks for it after a restore, through the index of each open
// target for the groups of which it holds a chunk, on a thread of its own: the heartbeat does not
// wait for a disk. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "chunkserver/stop_flag.h"
#include "chunkserver/targets.h"
#include "proto/cluster.pb.h"

namespace penstock::chunkserver {

class HeldGroups {
 public:
  explicit HeldGroups(Targets* targets) : targets_(targets) {}  // outlives it
  ~HeldGroups() { Stop(); }
  void Stop();

  // As the last heartbeat's reply says; 0: nobody asks (any more).
  void Ask(uint32_t group_count);
  // What was found for the count that is asked for; empty until all targets have been looked at.
  std::vector<wire::HeldGroups> Found() const;

  // The work itself, for tests. After an error of a disk the target is left out: it is asked again.
  static absl::StatusOr<wire::HeldGroups> Look(Target& target, uint32_t group_count);

 private:
  void Run(uint32_t group_count);

  Targets* const targets_;
  StopFlag stop_;
  mutable absl::Mutex mu_;
  uint32_t asked_ ABSL_GUARDED_BY(mu_) = 0;
  bool running_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<wire::HeldGroups> found_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;  // used by those that call Ask() and Stop(): the heartbeat's owner
};

}  // namespace penstock::chunkserver
