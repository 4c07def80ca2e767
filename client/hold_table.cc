#include "client/hold_table.h"

#include "common/status.h"

namespace penstock::client {

void HoldTable::Hold(InodeNumber ino, bool write) {
  absl::MutexLock lock(&mu_);
  ++version_;
  Count& count = held_[ino];
  ++(write ? count.write : count.read);
  changed_.insert(ino);
}

void HoldTable::Release(InodeNumber ino, bool write) {
  absl::MutexLock lock(&mu_);
  auto it = held_.find(ino);
  INVARIANT(it != held_.end());
  uint32_t& count = write ? it->second.write : it->second.read;
  INVARIANT(count > 0);
  ++version_;
  --count;
  if (it->second.read == 0 && it->second.write == 0) held_.erase(it);
  changed_.insert(ino);
}

bool HoldTable::holds(InodeNumber ino) const {
  absl::MutexLock lock(&mu_);
  return held_.contains(ino);
}

std::vector<InodeNumber> HoldTable::held() const {
  std::vector<InodeNumber> all;
  absl::MutexLock lock(&mu_);
  all.reserve(held_.size());
  for (const auto& [ino, count] : held_) all.push_back(ino);
  return all;
}

uint64_t HoldTable::version() const {
  absl::MutexLock lock(&mu_);
  return version_;
}

void HoldTable::FillAck(wire::EventAck* ack, const std::vector<InodeNumber>& inodes) const {
  absl::MutexLock lock(&mu_);
  ack->set_hold_version(version_);
  for (InodeNumber ino : inodes) AddTo(ack, ino);
}

void HoldTable::FillUntold(wire::EventAck* ack) const {
  absl::MutexLock lock(&mu_);
  ack->set_hold_version(version_);
  for (InodeNumber ino : changed_) AddTo(ack, ino);
  for (InodeNumber ino : reporting_) AddTo(ack, ino);
}

void HoldTable::AddTo(wire::EventAck* ack, InodeNumber ino) const {
  auto it = held_.find(ino);
  if (it == held_.end()) return;
  if (it->second.write > 0) {
    ack->add_opened_write(ino.value());
  } else {
    ack->add_opened(ino.value());
  }
}

void HoldTable::FillHeld(wire::SessionHeartbeatRequest* report) const {
  report->set_whole(true);
  report->set_hold_version(version_);
  for (const auto& [ino, count] : held_) {
    if (count.read > 0) report->add_opened(ino.value());
    if (count.write > 0) report->add_opened_write(ino.value());
  }
}

void HoldTable::FillWhole(wire::SessionHeartbeatRequest* report) const {
  absl::MutexLock lock(&mu_);
  FillHeld(report);
}

void HoldTable::FillReport(bool whole, wire::SessionHeartbeatRequest* report) {
  absl::MutexLock lock(&mu_);
  reporting_ = std::move(changed_);
  changed_.clear();
  if (whole) return FillHeld(report);
  report->set_hold_version(version_);
  for (InodeNumber ino : reporting_) {
    auto it = held_.find(ino);
    if (it == held_.end()) {
      report->add_released(ino.value());
      continue;
    }
    if (it->second.write > 0) {
      report->add_opened_write(ino.value());
    } else {
      report->add_opened(ino.value());
      report->add_released_write(ino.value());
    }
  }
}

void HoldTable::Acknowledge() {
  absl::MutexLock lock(&mu_);
  reporting_.clear();
}

void HoldTable::Failed() {
  absl::MutexLock lock(&mu_);
  changed_.insert(reporting_.begin(), reporting_.end());
  reporting_.clear();
}

}  // namespace penstock::client
