#include "chunkserver/chain/chunk_memory.h"

#include <algorithm>

namespace penstock::chunkserver {
namespace {

// The most recently used stands last.
void Merge(std::vector<ChannelRecord>& into, ChannelRecord record) {
  if (!record.stamp.session.valid()) return;
  auto known = std::find_if(into.begin(), into.end(), [&](const ChannelRecord& other) {
    return other.stamp.session == record.stamp.session &&
           other.stamp.channel == record.stamp.channel;
  });
  if (known != into.end()) {
    if (known->stamp.sequence >= record.stamp.sequence) record = *known;
    into.erase(known);
  }
  into.push_back(record);
  if (into.size() > ChunkMemory::kMaxChannels) into.erase(into.begin());
}

}  // namespace

ChunkMemory::ChunkMemory(Clock* clock, absl::Duration keep, size_t limit)
    : clock_(clock), keep_(keep), limit_(limit) {}

ChunkMemory::Entry ChunkMemory::Recall(const ChunkKey& key) const {
  absl::MutexLock lock(&mu_);
  auto it = entries_.find(key);
  Entry entry = it == entries_.end() ? Entry{} : it->second.entry;
  entry.dead = dead_.contains(key.content);
  return entry;
}

void ChunkMemory::Remember(const ChunkKey& key, ChunkVersion floor,
                           absl::Span<const ChannelRecord> channels, uint32_t epoch) {
  absl::MutexLock lock(&mu_);
  Entry& entry = Touch(key);
  if (floor.valid() && (floor >= entry.floor || epoch > entry.floor_epoch)) {
    entry.floor = floor;
    entry.floor_epoch = epoch;
  }
  for (const ChannelRecord& record : channels) Merge(entry.channels, record);
}

void ChunkMemory::RememberDead(ContentId content) {
  absl::MutexLock lock(&mu_);
  const absl::Duration now = clock_->SinceBoot();
  dead_[content] = now;
  dead_order_.emplace_back(now, content);
  Expire();
}

bool ChunkMemory::IsDead(ContentId content) const {
  absl::MutexLock lock(&mu_);
  return dead_.contains(content);
}

void ChunkMemory::Forget(const ChunkKey& key, uint32_t epoch) {
  absl::MutexLock lock(&mu_);
  auto it = entries_.find(key);
  if (it == entries_.end()) return;
  Entry& entry = it->second.entry;
  entry.channels.clear();
  if (entry.floor_epoch != epoch) entry.floor = ChunkVersion{};
}

ChunkMemory::Entry& ChunkMemory::Touch(const ChunkKey& key) {
  const absl::Duration now = clock_->SinceBoot();
  // In the order before it is expired: what is in use is never what goes.
  order_.emplace_back(now, key);
  Kept& kept = entries_[key];
  kept.last_use = now;
  Expire();
  return kept.entry;
}

void ChunkMemory::Expire() {
  const absl::Duration oldest = clock_->SinceBoot() - keep_;
  while (!order_.empty() && (order_.front().first < oldest || order_.size() > limit_)) {
    auto it = entries_.find(order_.front().second);
    // A younger place in the order speaks for an entry that was used again.
    if (it != entries_.end() && it->second.last_use == order_.front().first) entries_.erase(it);
    order_.pop_front();
  }
  while (!dead_order_.empty() &&
         (dead_order_.front().first < oldest || dead_order_.size() > limit_)) {
    auto it = dead_.find(dead_order_.front().second);
    if (it != dead_.end() && it->second == dead_order_.front().first) dead_.erase(it);
    dead_order_.pop_front();
  }
}

size_t ChunkMemory::size() const {
  absl::MutexLock lock(&mu_);
  return entries_.size();
}

}  // namespace penstock::chunkserver
