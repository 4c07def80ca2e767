#include "metaserver/lock_table.h"

#include <absl/hash/hash.h>

#include <algorithm>

#include "common/status.h"

namespace penstock::metaserver {

void LockTable::Held::LockRename() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  INVARIANT(!rename_ && names_.empty() && inodes_.empty());
  table_->rename_.Lock();
  rename_ = true;
}

void LockTable::Held::LockNames(absl::Span<const NameRef> names) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  INVARIANT(names_.empty() && inodes_.empty());
  for (const NameRef& name : names) {
    names_.push_back(absl::HashOf(name.parent.value(), name.name) % kStripes);
  }
  std::sort(names_.begin(), names_.end());
  names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
  for (size_t stripe : names_) table_->names_[stripe].Lock();
}

void LockTable::Held::LockInodes(absl::Span<const InodeLock> inodes)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  INVARIANT(inodes_.empty());
  for (const InodeLock& lock : inodes) {
    inodes_.emplace_back(absl::HashOf(lock.ino.value()) % kStripes, lock.exclusive);
  }
  // Within one stripe the exclusive wish sorts first and is the one that stays.
  std::sort(inodes_.begin(), inodes_.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second > b.second;
  });
  inodes_.erase(std::unique(inodes_.begin(), inodes_.end(),
                            [](const auto& a, const auto& b) { return a.first == b.first; }),
                inodes_.end());
  for (const auto& [stripe, exclusive] : inodes_) {
    if (exclusive) {
      table_->inodes_[stripe].Lock();
    } else {
      table_->inodes_[stripe].ReaderLock();
    }
  }
}

void LockTable::Held::Release() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  for (const auto& [stripe, exclusive] : inodes_) {
    if (exclusive) {
      table_->inodes_[stripe].Unlock();
    } else {
      table_->inodes_[stripe].ReaderUnlock();
    }
  }
  for (size_t stripe : names_) table_->names_[stripe].Unlock();
  if (rename_) table_->rename_.Unlock();
  inodes_.clear();
  names_.clear();
  rename_ = false;
}

}  // namespace penstock::metaserver
