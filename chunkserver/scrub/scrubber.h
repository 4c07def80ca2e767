// Scrubber reads every chunk of this server's targets, over and over, and checks it, so that rot is
// found while another copy is still good; copy_repair.h mends what it finds. First the index, then
// the chunks in key order. By itself it takes its days for a pass; on order it goes as fast as the
// order says. Where it was survives a restart. One thread a target. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "chunkserver/scrub/scrub_pace.h"
#include "chunkserver/scrub/scrub_state.h"
#include "chunkserver/stop_flag.h"
#include "chunkserver/targets.h"
#include "common/clock.h"
#include "common/file.h"
#include "proto/cluster.pb.h"

namespace penstock::chunkserver {

struct ScrubOptions {
  absl::Duration every = absl::Hours(14 * 24);  // a pass by itself; 0: only on order
  absl::Duration save_every = absl::Seconds(10);
  absl::Duration retry_every = absl::Seconds(30);  // what cannot be looked at for now
};

class Scrubber {
 public:
  // All outlive it.
  struct Parts {
    const Targets* targets = nullptr;
    FileSystem* fs = nullptr;
    Clock* clock = nullptr;
  };
  Scrubber(const Parts& parts, const ScrubOptions& options);
  ~Scrubber();  // Stop()

  void Start();
  void Stop();

  // A pass by itself; zero: only on order.
  void SetEvery(absl::Duration every) { every_s_ = absl::ToInt64Seconds(every); }

  // Of a heartbeat's answer; one that was taken before changes nothing.
  void Take(absl::Span<const wire::ScrubOrder> orders) ABSL_LOCKS_EXCLUDED(mu_);
  // For the heartbeat: never waits for a disk.
  std::vector<wire::ScrubProgress> progress() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Lane {
    Target* target = nullptr;
    ScrubState state;  // of the lane's thread only
    ScrubPace pace;
    absl::Duration next;     // when it may read on
    int tries = 0;           // of the next chunk, in vain
    absl::Duration saved;    // when the state was last written
    bool changed = false;    // since
    uint64_t requests = 0;   // of others, at the last chunk
    wire::ScrubOrder order;  // guarded by mu_, as is `shown`
    wire::ScrubProgress shown;
    std::thread thread;
  };
  static std::string PathOf(const Lane& lane) { return lane.target->dir + "/scrub.json"; }

  void Load(Lane& lane);
  void Run(Lane& lane);
  void TakeOrder(Lane& lane) ABSL_LOCKS_EXCLUDED(mu_);
  bool IsDue(const Lane& lane) const;
  // Reads on until the next wait, a page at most.
  void ReadSome(Lane& lane);
  void CheckIndex(Lane& lane);
  void CheckChunk(Lane& lane, const ChunkKey& key, const ChunkInfo& info);
  void End(Lane& lane);
  // What cannot be looked at is tried some times, after a pause each.
  bool GivesUp(Lane& lane);
  void Found(Lane& lane, ScrubFinding finding);
  void FoundInIndex(Lane& lane, const absl::Status& status);
  // What became of what was found.
  void Review(Lane& lane);
  void Save(Lane& lane, bool now);
  void Show(Lane& lane) ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t RateOf(const Lane& lane) const;
  absl::Duration every() const { return absl::Seconds(every_s_.load()); }

  const Parts parts_;
  const ScrubOptions options_;
  std::atomic<int64_t> every_s_;
  StopFlag stop_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // of each open target; fixed after the construction
  mutable absl::Mutex mu_;                    // innermost; never held over a disk
};

}  // namespace penstock::chunkserver
