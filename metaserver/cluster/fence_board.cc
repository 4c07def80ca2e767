#include "metaserver/cluster/fence_board.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>

#include "common/status.h"
#include "metaserver/cluster/cluster_options.h"

namespace penstock::metaserver {

FenceBoard::FenceBoard(Sources sources, const std::vector<record::Fence>& stored)
    : sources_(std::move(sources)) {
  absl::MutexLock lock(&mu_);
  for (const record::Fence& fence : stored) {
    fences_[SessionId(fence.session_id())] = fence;
    version_ = std::max(version_, fence.version());
  }
}

void FenceBoard::Fence(SessionId session, Done done) {
  absl::MutexLock lock(&mu_);
  waiters_.push_back({session, std::move(done)});
}

bool FenceBoard::AllServersConfirmed(uint64_t fence_version) const {
  return sources_.lowest_confirmed() >= fence_version;
}

FenceBoard::List FenceBoard::Current() const {
  absl::MutexLock lock(&mu_);
  List list{.version = version_};
  for (const auto& [session, fence] : fences_) list.sessions.push_back(session);
  return list;
}

absl::Status FenceBoard::Work() {
  RETURN_IF_ERROR(StoreNew());
  const uint64_t confirmed = sources_.lowest_confirmed();
  std::vector<Waiter> answered;
  {
    absl::MutexLock lock(&mu_);
    auto done = std::partition(waiters_.begin(), waiters_.end(), [&](const Waiter& waiter) {
      mu_.AssertHeld();
      auto fence = fences_.find(waiter.session);
      return fence == fences_.end() || fence->second.version() > confirmed;
    });
    std::move(done, waiters_.end(), std::back_inserter(answered));
    waiters_.erase(done, waiters_.end());
  }
  for (Waiter& waiter : answered) std::move(waiter.done)();
  return absl::OkStatus();
}

absl::Status FenceBoard::StoreNew() {
  std::vector<record::Fence> fences;
  {
    absl::MutexLock lock(&mu_);
    absl::flat_hash_set<SessionId> seen;
    for (const Waiter& waiter : waiters_) {
      if (fences_.contains(waiter.session) || !seen.insert(waiter.session).second) continue;
      record::Fence& fence = fences.emplace_back();
      fence.set_session_id(waiter.session.value());
      fence.set_version(version_ + fences.size());
      fence.set_since_s(absl::ToUnixSeconds(sources_.clock->Now()));
    }
  }
  if (fences.empty()) return absl::OkStatus();
  ClusterBatch batch(*sources_.store);
  for (const record::Fence& fence : fences) batch.Put(fence);
  // Synced first: a fence that a server heard of must still stand after a power cut.
  auto committed = sources_.log->Commit(batch.Take(), Durability::kSynced);
  if (!committed.ok()) return Annotate(committed.status(), "store fences");
  absl::MutexLock lock(&mu_);
  for (const record::Fence& fence : fences) {
    fences_[SessionId(fence.session_id())] = fence;
    version_ = fence.version();
  }
  return absl::OkStatus();
}

absl::Status FenceBoard::Expire() {
  const int64_t before = absl::ToUnixSeconds(sources_.clock->Now() - kFenceKeptFor);
  std::vector<SessionId> old;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [session, fence] : fences_) {
      // The newest stays, so that the list's version never goes back over a restart.
      if (fence.since_s() < before && fence.version() != version_) old.push_back(session);
    }
  }
  if (old.empty()) return absl::OkStatus();
  ClusterBatch batch(*sources_.store);
  for (SessionId session : old) batch.DeleteFence(session.value());
  auto committed = sources_.log->Commit(batch.Take(), Durability::kProcess);
  if (!committed.ok()) return Annotate(committed.status(), "forget old fences");
  absl::MutexLock lock(&mu_);
  for (SessionId session : old) fences_.erase(session);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
