#include "chunkserver/service/fence_table.h"

#include "common/status.h"

namespace penstock::chunkserver {

absl::StatusOr<FenceTable::Pass> FenceTable::Enter(SessionId session) {
  absl::MutexLock lock(&mu_);
  if (fenced_.contains(session)) {
    return WithReason(absl::PermissionDeniedError("the session has lost its right to write"),
                      Reason::kFenced);
  }
  ++writing_[session];
  return Pass(this, session);
}

void FenceTable::Leave(SessionId session) {
  absl::MutexLock lock(&mu_);
  auto it = writing_.find(session);
  if (--it->second == 0) writing_.erase(it);
  Confirm();
}

void FenceTable::Update(uint64_t version, absl::Span<const uint64_t> fenced) {
  absl::MutexLock lock(&mu_);
  if (version < version_) return;
  version_ = version;
  fenced_.clear();
  for (uint64_t session : fenced) fenced_.insert(SessionId(session));
  Confirm();
  known_.store(true, std::memory_order_release);
}

void FenceTable::Confirm() {
  for (SessionId session : fenced_) {
    if (writing_.contains(session)) return;
  }
  confirmed_ = version_;
}

uint64_t FenceTable::confirmed_version() const {
  absl::MutexLock lock(&mu_);
  return confirmed_;
}

}  // namespace penstock::chunkserver
