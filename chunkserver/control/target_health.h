// HealthSampler measures the targets every second on a thread of its own, so that the heartbeat,
// which reports the last sample, never waits for a disk.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "chunkserver/stop_flag.h"
#include "chunkserver/targets.h"
#include "proto/cluster.pb.h"

namespace penstock::chunkserver {

class HealthSampler {
 public:
  // `targets` outlives it. `boot_id` of the machine: it tells its disks from those of others.
  HealthSampler(const Targets* targets, std::string boot_id)
      : targets_(targets), boot_id_(std::move(boot_id)) {}
  ~HealthSampler() { Stop(); }

  void Start();  // with a first sample taken
  void Stop();
  std::vector<wire::TargetHealth> Last() const;

 private:
  void Sample();

  const Targets* const targets_;
  const std::string boot_id_;
  StopFlag stop_;
  mutable absl::Mutex mu_;  // innermost; never held over a disk
  std::vector<wire::TargetHealth> last_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

wire::TargetHealth HealthOf(const Target& target, const std::string& boot_id);

}  // namespace penstock::chunkserver
