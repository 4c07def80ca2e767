// HealthSampler measures the targets every second, each on a thread of its own, so that neither the
// heartbeat, which reports the last samples, nor another target ever waits for a disk. It also
// judges which disks have failed (disk_watch.h), and which do not answer any more.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "chunkserver/control/disk_watch.h"
#include "chunkserver/stop_flag.h"
#include "chunkserver/targets.h"
#include "proto/cluster.pb.h"

namespace penstock::chunkserver {

class HealthSampler {
 public:
  // All outlive it. `boot_id` of the machine: it tells its disks from those of others.
  struct Parts {
    const Targets* targets = nullptr;
    FileSystem* fs = nullptr;
    Clock* clock = nullptr;
    std::string boot_id;
    absl::Duration silent_after = absl::Seconds(15);  // a look takes longer: the disk hangs
  };
  explicit HealthSampler(Parts parts);
  ~HealthSampler() { Stop(); }

  void Start();  // with a first sample taken
  void Stop();
  std::vector<wire::TargetHealth> Last() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Lane {
    Target* target = nullptr;
    DiskWatch watch;  // of the one that samples, as the next
    absl::Duration probe_at;
    wire::TargetHealth last;              // guarded by mu_, as the next two
    std::optional<absl::Duration> begun;  // the look that is under way
    bool silent = false;                  // one took too long
    std::thread thread;
  };
  void Sample(Lane& lane) ABSL_LOCKS_EXCLUDED(mu_);
  std::string Look(Lane& lane);  // why it has failed
  static void Fail(Lane& lane, const std::string& why);

  const Parts parts_;
  StopFlag stop_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // of every target; fixed after the construction
  mutable absl::Mutex mu_;                    // innermost; never held over a disk
};

// `failure`: why its disk has failed, with what to do; "" while it works.
wire::TargetHealth HealthOf(const Target& target, const std::string& boot_id,
                            const std::string& failure = "");

}  // namespace penstock::chunkserver
