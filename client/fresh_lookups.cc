#include "client/fresh_lookups.h"

#include <utility>

namespace penstock::client {

void FreshLookups::Remember(uint64_t thread, Found found) {
  if (thread == 0) return;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  std::swap(shard.last[0], shard.last[1]);
  shard.last[0] = {thread, clock_->SinceBoot(), std::move(found)};
}

bool FreshLookups::Usable(const Remembered& r, uint64_t thread) const {
  return r.thread == thread && clock_->SinceBoot() - r.at <= valid_for_;
}

std::optional<wire::Entry> FreshLookups::Take(uint64_t thread, InodeNumber ino) {
  if (thread == 0) return std::nullopt;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  for (Remembered& r : shard.last) {
    if (!Usable(r, thread) || !r.found.entry || r.found.entry->attr().ino() != ino.value())
      continue;
    std::optional<wire::Entry> entry = std::move(r.found.entry);
    r = Remembered{};
    return entry;
  }
  return std::nullopt;
}

std::optional<bool> FreshLookups::HasAcl(uint64_t thread, InodeNumber ino) {
  if (thread == 0) return std::nullopt;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  for (const Remembered& r : shard.last) {
    if (!Usable(r, thread) || clock_->SinceBoot() - r.at > kAclValidFor) continue;
    if (r.found.entry && r.found.entry->attr().ino() == ino.value()) {
      return r.found.entry->has_acl();
    }
  }
  return std::nullopt;
}

void FreshLookups::Forget(InodeNumber ino) {
  for (Shard& shard : shards_) {
    absl::MutexLock lock(&shard.mu);
    for (Remembered& r : shard.last) {
      if (r.found.entry && r.found.entry->attr().ino() == ino.value()) r = Remembered{};
    }
  }
}

std::optional<FreshLookups::Found> FreshLookups::Peek(uint64_t thread, InodeNumber parent,
                                                      std::string_view name) {
  if (thread == 0) return std::nullopt;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  for (const Remembered& r : shard.last) {
    if (Usable(r, thread) && r.found.parent == parent && r.found.name == name) return r.found;
  }
  return std::nullopt;
}

}  // namespace penstock::client
