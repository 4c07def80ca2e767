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
    : clock_(clock), entries_(keep, limit), dead_(keep, limit) {}

ChunkMemory::Entry ChunkMemory::Recall(const ChunkKey& key) const {
  absl::MutexLock lock(&mu_);
  const Entry* found = entries_.Find(key);
  Entry entry = found == nullptr ? Entry{} : *found;
  entry.dead = dead_.contains(key.content);
  return entry;
}

void ChunkMemory::Remember(const ChunkKey& key, ChunkVersion floor,
                           absl::Span<const ChannelRecord> channels, uint32_t epoch) {
  absl::MutexLock lock(&mu_);
  Entry& entry = entries_.Use(key, clock_->SinceBoot());
  if (floor.valid() && (floor >= entry.floor || epoch > entry.floor_epoch)) {
    entry.floor = floor;
    entry.floor_epoch = epoch;
  }
  for (const ChannelRecord& record : channels) Merge(entry.channels, record);
}

void ChunkMemory::RememberDead(ContentId content) {
  absl::MutexLock lock(&mu_);
  dead_.Use(content, clock_->SinceBoot());
}

bool ChunkMemory::IsDead(ContentId content) const {
  absl::MutexLock lock(&mu_);
  return dead_.contains(content);
}

void ChunkMemory::Forget(const ChunkKey& key, uint32_t epoch) {
  absl::MutexLock lock(&mu_);
  Entry* entry = entries_.Find(key);
  if (entry == nullptr) return;
  entry->channels.clear();
  if (entry->floor_epoch != epoch) entry->floor = ChunkVersion{};
}

size_t ChunkMemory::size() const {
  absl::MutexLock lock(&mu_);
  return entries_.size();
}

}  // namespace penstock::chunkserver
