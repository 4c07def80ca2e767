#include "client/page_drops.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace penstock::client {

std::optional<uint64_t> PageDrops::Begin(InodeNumber ino, std::atomic<bool>* has_pages, Done done) {
  std::optional<uint64_t> number;
  {
    absl::MutexLock lock(&mu_);
    // Those of a drop that is not over yet are still there.
    if (has_pages->exchange(false) || under_way_.contains(ino)) {
      number = next_++;
      ++under_way_[ino];
      Drop& drop = drops_[*number];
      drop.ino = ino;
      if (!writes_.contains(ino)) {
        drop.done = std::move(done);
        return number;
      }
    }
  }
  std::move(done)();
  return number;
}

void PageDrops::Finish(uint64_t number) {
  Done done;
  {
    absl::MutexLock lock(&mu_);
    const auto drop = drops_.find(number);
    if (drop == drops_.end()) return;
    const auto under_way = under_way_.find(drop->second.ino);
    if (--under_way->second == 0) under_way_.erase(under_way);
    done = std::move(drop->second.done);
    drops_.erase(drop);
  }
  if (done) std::move(done)();
}

bool PageDrops::AnyBefore(uint64_t number) const {
  return std::any_of(drops_.begin(), drops_.end(),
                     [&](const auto& drop) { return drop.first < number; });
}

void PageDrops::Await(absl::Duration limit) {
  absl::MutexLock lock(&mu_);
  auto over = [this, next = next_]()
                  ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !AnyBefore(next); };
  mu_.AwaitWithTimeout(absl::Condition(&over), limit);
}

PageDrops::Write::Write(PageDrops* drops, InodeNumber ino) : drops_(drops), ino_(ino) {
  std::vector<Done> waiting;
  {
    absl::MutexLock lock(&drops_->mu_);
    ++drops_->writes_[ino_];
    for (auto& [number, drop] : drops_->drops_) {
      if (drop.ino == ino_ && drop.done) waiting.push_back(std::exchange(drop.done, nullptr));
    }
  }
  for (Done& done : waiting) std::move(done)();
}

PageDrops::Write::~Write() {
  absl::MutexLock lock(&drops_->mu_);
  auto it = drops_->writes_.find(ino_);
  if (--it->second == 0) drops_->writes_.erase(it);
}

}  // namespace penstock::client
