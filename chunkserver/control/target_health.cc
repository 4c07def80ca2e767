#include "chunkserver/control/target_health.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/logging.h"

namespace penstock::chunkserver {

namespace {

constexpr absl::Duration kProbeEvery = absl::Seconds(10);
constexpr char kSilent[] =
    "it does not answer any more: look at its disk (dmesg, smartctl), then restart the chunkserver";

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

HealthSampler::HealthSampler(Parts parts) : parts_(std::move(parts)) {
  for (const auto& target : parts_.targets->all()) {
    lanes_.push_back(std::make_unique<Lane>());
    lanes_.back()->target = target.get();
  }
}

void HealthSampler::Fail(Lane& lane, const std::string& why) {
  if (lane.target->failed.exchange(true)) return;
  SPDLOG_ERROR("target failed target={} path={} problem={}", lane.target->target_id().value(),
               Quoted(lane.target->path), Quoted(why));
}

std::string HealthSampler::Look(Lane& lane) {
  if (!lane.target->is_open()) return "";
  const absl::Duration now = parts_.clock->SinceBoot();
  DiskSigns signs = LookAtDisk(*lane.target, parts_.fs);
  if (now >= lane.probe_at) {
    lane.probe_at = now + kProbeEvery;
    if (IsReadOnly(*lane.target, parts_.fs)) signs.read_only = true;
  }
  std::string failure = lane.watch.Look(signs, now);
  if (!failure.empty()) Fail(lane, failure);
  return failure;
}

void HealthSampler::Sample(Lane& lane) {
  {
    absl::MutexLock lock(&mu_);
    lane.begun = parts_.clock->SinceBoot();
  }
  const std::string failure = Look(lane);
  wire::TargetHealth now = HealthOf(*lane.target, parts_.boot_id, failure);
  absl::MutexLock lock(&mu_);
  lane.begun.reset();
  lane.last = std::move(now);
}

void HealthSampler::Start() {
  for (const auto& lane : lanes_) Sample(*lane);
  for (const auto& lane : lanes_) {
    lane->thread = std::thread([this, lane = lane.get()] {
      pthread_setname_np(pthread_self(), "health");
      while (!stop_.Wait(absl::Seconds(1))) Sample(*lane);
    });
  }
}

void HealthSampler::Stop() {
  stop_.Set();
  for (const auto& lane : lanes_) {
    if (lane->thread.joinable()) lane->thread.join();
  }
}

std::vector<wire::TargetHealth> HealthSampler::Last() const {
  std::vector<wire::TargetHealth> all;
  const absl::Duration now = parts_.clock->SinceBoot();
  absl::MutexLock lock(&mu_);
  for (const auto& lane : lanes_) {
    if (lane->begun && now - *lane->begun > parts_.silent_after) lane->silent = true;
    all.push_back(lane->last);
    if (!lane->silent || all.back().state() == wire::TARGET_FAILED) continue;
    // It stays so until the next start, as whatever else has failed.
    Fail(*lane, kSilent);
    all.back().set_state(wire::TARGET_FAILED);
    all.back().set_problem(kSilent);
  }
  return all;
}

}  // namespace penstock::chunkserver
