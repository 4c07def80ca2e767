#include "common/net/payload_budget.h"

#include <utility>
#include <vector>

namespace penstock::net {

bool PayloadBudget::Reserve(uint64_t bytes, absl::AnyInvocable<void() &&> granted) {
  absl::MutexLock lock(&mu_);
  if (waiters_.empty() && bytes <= free_bytes_) {
    free_bytes_ -= bytes;
    return true;
  }
  waiters_.push_back({bytes, std::move(granted)});
  return false;
}

void PayloadBudget::Release(uint64_t bytes) {
  std::vector<absl::AnyInvocable<void() &&>> granted;
  {
    absl::MutexLock lock(&mu_);
    free_bytes_ += bytes;
    while (!waiters_.empty() && waiters_.front().bytes <= free_bytes_) {
      free_bytes_ -= waiters_.front().bytes;
      granted.push_back(std::move(waiters_.front().granted));
      waiters_.pop_front();
    }
  }
  for (auto& call : granted) std::move(call)();
}

uint64_t PayloadBudget::free_bytes() const {
  absl::MutexLock lock(&mu_);
  return free_bytes_;
}

}  // namespace penstock::net
