// HealthSampler measures the targets every second on a thread of its own, so that the heartbeat,
// which reports the last sample, never waits for a disk. It also judges which disks have failed
// (disk_watch.h).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

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
  };
  explicit HealthSampler(Parts parts) : parts_(std::move(parts)) {}
  ~HealthSampler() { Stop(); }

  void Start();  // with a first sample taken
  void Stop();
  std::vector<wire::TargetHealth> Last() const;

 private:
  void Sample();

  const Parts parts_;
  absl::flat_hash_map<const Target*, DiskWatch> disks_;  // of the one that samples
  StopFlag stop_;
  mutable absl::Mutex mu_;  // innermost; never held over a disk
  std::vector<wire::TargetHealth> last_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

// `failure`: why its disk has failed, with what to do; "" while it works.
wire::TargetHealth HealthOf(const Target& target, const std::string& boot_id,
                            const std::string& failure = "");

}  // namespace penstock::chunkserver
