#include "chunkserver/control/target_health.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>

namespace penstock::chunkserver {

wire::TargetHealth HealthOf(const Target& target, const std::string& boot_id) {
  wire::TargetHealth health;
  health.set_target_id(target.target_id().value());
  if (!target.is_open()) {
    health.set_state(wire::TARGET_ABSENT);
    health.set_problem(target.problem);
    return health;
  }
  ChunkStore& store = *target.store;
  health.set_state(wire::TARGET_ONLINE);
  health.set_barrier(store.barrier_number());
  health.set_io_errors(store.io_errors());
  health.set_checksum_errors(store.checksum_errors());
  if (auto space = store.Space(); space.ok()) {
    health.set_capacity_bytes(space->capacity_bytes);
    health.set_free_bytes(space->free_bytes);
    health.set_stored_bytes(space->stored_bytes);
    health.set_chunks(space->chunks);
    health.set_disk_id(absl::StrCat(boot_id, "/", space->device));
    if (space->free_bytes == 0) health.set_problem("the disk is full up to its reserve");
  } else {
    health.set_state(wire::TARGET_FAILED);
    health.set_problem(absl::StrCat("cannot be measured: ", space.status().message()));
  }
  if (store.io_errors() > 0) {
    health.set_problem(absl::StrCat(store.io_errors(), " I/O errors since the start"));
  } else if (store.checksum_errors() > 0) {
    health.set_problem(absl::StrCat(store.checksum_errors(), " checksum errors since the start"));
  }
  return health;
}

void HealthSampler::Sample() {
  std::vector<wire::TargetHealth> now;
  for (const auto& target : targets_->all()) now.push_back(HealthOf(*target, boot_id_));
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
