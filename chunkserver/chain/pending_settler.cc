#include "chunkserver/chain/pending_settler.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

namespace penstock::chunkserver {
namespace {
constexpr absl::Duration kLookEvery = absl::Milliseconds(500);
}  // namespace

PendingSettler::PendingSettler(const Targets* targets, WriteChain* chain, Clock* clock,
                               Options options)
    : targets_(targets), chain_(chain), clock_(clock), options_(options) {}

PendingSettler::~PendingSettler() { Stop(); }

void PendingSettler::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "settler");
    Run();
  });
}

void PendingSettler::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void PendingSettler::Note(TargetId target, uint32_t storage_class, const ChunkKey& key) {
  absl::MutexLock lock(&mu_);
  if (noted_.size() >= options_.limit) return;
  noted_.try_emplace(ChunkLockId{target, key},
                     Noted{storage_class, clock_->SinceBoot() + options_.patience});
}

size_t PendingSettler::noted() const {
  absl::MutexLock lock(&mu_);
  return noted_.size();
}

std::optional<PendingSettler::Due> PendingSettler::TakeDue() {
  const absl::Duration now = clock_->SinceBoot();
  for (auto it = noted_.begin(); it != noted_.end(); ++it) {
    if (it->second.due > now) continue;
    Due due{it->first, it->second.storage_class};
    noted_.erase(it);
    return due;
  }
  return std::nullopt;
}

void PendingSettler::SettleOne(const Due& due) {
  Target* target = targets_->Find(due.id.target);
  if (target == nullptr || !target->is_open()) return;
  auto info = target->store->Stat(due.id.key);
  if (!info.ok() || !info->pending) return;
  const absl::Status status =
      chain_->Settle(target, due.storage_class, due.id.key, absl::Now() + options_.call_timeout);
  if (status.ok()) {
    ++settled_;
    return;
  }
  Note(due.id.target, due.storage_class, due.id.key);
}

void PendingSettler::Run() {
  absl::MutexLock lock(&mu_);
  while (!stopping_) {
    if (std::optional<Due> due = TakeDue()) {
      mu_.Unlock();
      SettleOne(*due);
      mu_.Lock();
      continue;
    }
    if (settled_ > 0) SPDLOG_INFO("pending versions settled chunks={}", settled_);
    settled_ = 0;
    mu_.AwaitWithTimeout(absl::Condition(&stopping_), kLookEvery);
  }
}

}  // namespace penstock::chunkserver
