#include "client/page_drops.h"

#include <utility>
#include <vector>

namespace penstock::client {

std::optional<uint64_t> PageDrops::Begin(InodeNumber ino, std::atomic<bool>* has_pages, Done done) {
  std::optional<uint64_t> number;
  {
    absl::MutexLock lock(&mu_);
    // Those of a drop that is not over yet are still there.
    const bool some = has_pages->exchange(false) || running_of_.contains(ino);
    if (some) {
      number = next_++;
      running_.emplace(*number, ino);
      ++running_of_[ino];
      if (!writes_.contains(ino)) {
        drops_.emplace(*number, Drop{ino, std::move(done)});
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
    const auto running = running_.find(number);
    if (running == running_.end()) return;
    const auto of = running_of_.find(running->second);
    if (--of->second == 0) running_of_.erase(of);
    running_.erase(running);
    auto it = drops_.find(number);
    if (it == drops_.end()) return;
    done = std::move(it->second.done);
    drops_.erase(it);
  }
  std::move(done)();
}

PageDrops::Write::Write(PageDrops* drops, InodeNumber ino) : drops_(drops), ino_(ino) {
  std::vector<Done> waiting;
  {
    absl::MutexLock lock(&drops_->mu_);
    ++drops_->writes_[ino_];
    for (auto it = drops_->drops_.begin(); it != drops_->drops_.end();) {
      auto drop = it++;
      if (drop->second.ino != ino_) continue;
      waiting.push_back(std::move(drop->second.done));
      drops_->drops_.erase(drop);
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
