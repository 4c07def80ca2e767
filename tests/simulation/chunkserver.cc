#include "tests/simulation/chunkserver.h"

#include <absl/strings/str_cat.h>

#include "tests/simulation/chunkserver_process.h"

namespace penstock::simulation {

SimChunkserver::SimChunkserver(int number, const Shape& shape, const Parts* parts)
    : number_(number), shape_(shape), parts_(parts), node_(parts->network->Add()) {
  for (int i = 1; i <= shape.targets_each; ++i) {
    disks_.emplace_back().uuid = absl::StrCat("target-uuid-", number, "-", i);
  }
}

SimChunkserver::~SimChunkserver() { Forget(); }

void SimChunkserver::In(int64_t delay_ms, std::function<void()> what) {
  parts_->network->In(node_, delay_ms, std::move(what));
}

void SimChunkserver::Trace(const std::string& line) {
  if (parts_->time->traces()) parts_->time->Trace(absl::StrCat("server ", number_, " ", line));
}

void SimChunkserver::Start() {
  if (up() || lost_) return;
  parts_->network->Up(node_);
  process_ = std::make_shared<Process>(parts_->time);
  process_->instance = absl::StrCat("instance-", number_, "-", ++instance_);
  for (Disk& disk : disks_) process_->targets.emplace_back(&disk, parts_->time);
  Trace(absl::StrCat("starts as ", process_->instance, ", boot ", boot_));
  Register();
  FollowMap();
  In(Pick(1, kBarrierMs), [this] { Barriers(); });
}

// Only the last one that was asked for counts.
void SimChunkserver::StartIn(int64_t delay_ms) {
  parts_->time->At(delay_ms, [this, start = ++start_] {
    if (start == start_) Start();
  });
}

void SimChunkserver::FailDisk() {
  Trace("has a failing disk");
  disks_.front().failed = disks_.front().lost_changes = true;
}

void SimChunkserver::RepairDisk() {
  disks_.front().failed = false;
  if (up()) Crash();
}

void SimChunkserver::Barriers() {
  for (Disk& disk : disks_) {
    if (!disk.failed) disk.replica.Barrier();
  }
  In(kBarrierMs, [this] { Barriers(); });
}

void SimChunkserver::End() {
  parts_->network->Down(node_);
  parts_->checks->MemoryLost();
  Forget();
}

// Tasks hold their process, which has them in its queues.
void SimChunkserver::Forget() {
  if (process_ == nullptr) return;
  for (Target& target : process_->targets) target.queues.clear();
  process_.reset();
}

void SimChunkserver::Crash() {
  Trace("crashes");
  End();
  const bool soon = Pick(0, 3) != 0;
  StartIn(soon ? Pick(5, 200) : Pick(200, 3000));
}

// A machine takes longer to come back than barriers are apart.
void SimChunkserver::CutPower() {
  Trace("loses power");
  End();
  parts_->network->Dark(node_, true);
  for (Disk& disk : disks_) disk.replica.PowerCut(parts_->time->random());
  lost_power_ = true;
  if (!Breaks(Broken::kHidesReboot)) ++boot_;
  const bool soon = Pick(0, 2) != 0;
  StartIn(soon ? Pick(250, 800) : Pick(800, 4000));
}

void SimChunkserver::Lose() {
  Trace("is gone for good");
  End();
  parts_->network->Dark(node_, true);
  lost_ = true;
}

Checks::Copy SimChunkserver::CopyOf(TargetId target) {
  for (Disk& disk : disks_) {
    if (disk.id == target) return {&disk.replica, lost_power_};
  }
  return {};
}

std::vector<TargetId> SimChunkserver::targets() const {
  std::vector<TargetId> ids;
  for (const Disk& disk : disks_) ids.push_back(disk.id);
  return ids;
}

bool SimChunkserver::AnyPending() {
  for (Disk& disk : disks_) {
    for (const ChunkKey& key : parts_->keys) {
      if (disk.replica.Get(key).info.pending) return true;
    }
  }
  return false;
}

}  // namespace penstock::simulation
