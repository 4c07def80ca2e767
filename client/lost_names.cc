#include "client/lost_names.h"

namespace penstock::client {

void LostNames::Add(InodeNumber ino) {
  const absl::Duration now = clock_->SinceBoot();
  absl::MutexLock lock(&mu_);
  lost_at_.insert_or_assign(ino, now);
  by_age_.emplace_back(now, ino);
  Expire(now);
  last_ns_.store(absl::ToInt64Nanoseconds(now), std::memory_order_release);
}

void LostNames::Expire(absl::Duration now) {
  while (!by_age_.empty() && (by_age_.size() > kMost || now - by_age_.front().first > kKeptFor)) {
    const auto [at, ino] = by_age_.front();
    by_age_.pop_front();
    auto it = lost_at_.find(ino);
    if (it != lost_at_.end() && it->second == at) lost_at_.erase(it);
  }
}

bool LostNames::Contains(InodeNumber ino) const {
  const absl::Duration now = clock_->SinceBoot();
  if (now - absl::Nanoseconds(last_ns_.load(std::memory_order_acquire)) > kKeptFor) return false;
  absl::MutexLock lock(&mu_);
  auto it = lost_at_.find(ino);
  return it != lost_at_.end() && now - it->second <= kKeptFor;
}

}  // namespace penstock::client
