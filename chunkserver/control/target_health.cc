#include "chunkserver/control/target_health.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/logging.h"

namespace penstock::chunkserver {

namespace {

// What an operator should know of a disk that works: the most urgent.
std::string ProblemOf(const wire::TargetHealth& health) {
  if (health.lost_chunks() > 0) {
    return absl::StrCat(health.lost_chunks(),
                        " chunks are damaged here and no other copy in sync is good: `penstock "
                        "scrub report` lists them; bring back a server that has them, or restore "
                        "their files");
  }
  if (health.free_bytes() == 0) return "the disk is full up to its reserve";
  if (health.damaged_chunks() > 0) {
    return absl::StrCat(health.damaged_chunks(), " damaged chunks are being repaired");
  }
  return "";
}

}  // namespace

wire::TargetHealth HealthOf(const Target& target, const std::string& boot_id,
                            const std::string& failure) {
  wire::TargetHealth health;
  health.set_target_id(target.target_id().value());
  if (!target.is_open()) {
    health.set_state(wire::TARGET_ABSENT);
    health.set_problem(target.problem);
    return health;
  }
  ChunkStore& store = *target.store;
  health.set_state(failure.empty() ? wire::TARGET_ONLINE : wire::TARGET_FAILED);
  health.set_barrier(store.barrier_number());
  health.set_io_errors(store.io_errors());
  health.set_checksum_errors(store.checksum_errors());
  health.set_damaged_chunks(store.damaged_chunks());
  health.set_lost_chunks(std::min<uint64_t>(target.lost.size(), store.damaged_chunks()));
  health.set_repaired_chunks(target.repaired.load());
  auto space = store.Space();
  if (space.ok()) {
    health.set_capacity_bytes(space->capacity_bytes);
    health.set_free_bytes(space->free_bytes);
    health.set_stored_bytes(space->stored_bytes);
    health.set_chunks(space->chunks);
    health.set_disk_id(absl::StrCat(boot_id, "/", space->device));
  }
  if (!failure.empty()) {
    health.set_problem(failure);
  } else if (!space.ok()) {
    health.set_problem(absl::StrCat("cannot be measured: ", space.status().message()));
  } else {
    health.set_problem(ProblemOf(health));
  }
  return health;
}

void HealthSampler::Sample() {
  std::vector<wire::TargetHealth> now;
  for (const auto& target : parts_.targets->all()) {
    std::string failure;
    if (target->is_open()) {
      DiskWatch& disk = disks_[target.get()];
      failure = disk.Look(LookAtDisk(*target, parts_.fs), parts_.clock->SinceBoot());
      if (!failure.empty() && !target->failed.exchange(true)) {
        SPDLOG_ERROR("target failed target={} path={} problem={}", target->target_id().value(),
                     Quoted(target->path), Quoted(failure));
      }
    }
    now.push_back(HealthOf(*target, parts_.boot_id, failure));
  }
  absl::MutexLock lock(&mu_);
  last_ = std::move(now);
}

void HealthSampler::Start() {
  Sample();
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "health");
    while (!stop_.Wait(absl::Seconds(1))) Sample();
  });
}

void HealthSampler::Stop() {
  stop_.Set();
  if (thread_.joinable()) thread_.join();
}

std::vector<wire::TargetHealth> HealthSampler::Last() const {
  absl::MutexLock lock(&mu_);
  return last_;
}

}  // namespace penstock::chunkserver
