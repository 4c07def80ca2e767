#include "metaserver/cluster/fence_board.h"

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

absl::StatusOr<uint64_t> FenceBoard::Fence(SessionId session) {
  ChangeTurn::Hold turn(&turn_);
  record::Fence fence;
  {
    absl::MutexLock lock(&mu_);
    if (auto it = fences_.find(session); it != fences_.end()) return it->second.version();
    fence.set_session_id(session.value());
    fence.set_version(version_ + 1);
    fence.set_since_s(absl::ToUnixSeconds(sources_.clock->Now()));
  }
  ClusterBatch batch(*sources_.store);
  batch.Put(fence);
  // Synced first: a fence that a server heard of must still stand after a power cut.
  auto committed = sources_.log->Commit(batch.Take(), Durability::kSynced);
  if (!committed.ok()) return Annotate(committed.status(), "store a fence");
  absl::MutexLock lock(&mu_);
  fences_[session] = fence;
  version_ = fence.version();
  return version_;
}

bool FenceBoard::IsFenced(SessionId session) const {
  absl::MutexLock lock(&mu_);
  return fences_.contains(session);
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

absl::Status FenceBoard::Expire() {
  ChangeTurn::Hold turn(&turn_);
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
