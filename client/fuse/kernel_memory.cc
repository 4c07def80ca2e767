#include "client/fuse/kernel_memory.h"

#include <absl/time/clock.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <algorithm>

namespace penstock::client {
namespace {

constexpr absl::Duration kLongest = absl::Seconds(4);          // DESIGN.md section 7
constexpr absl::Duration kKnownFor = absl::Milliseconds(500);  // then every first answer is in
constexpr int kNotifyIncEpoch = 8;  // FUSE_NOTIFY_INC_EPOCH, not yet in Debian's linux/fuse.h

}  // namespace

absl::Duration KernelMemory::AttributesFor(InodeNumber ino, bool leased) const {
  if (!leased) return absl::ZeroDuration();
  if (ino != root_) {
    const Shard& shard = ShardOf(ino);
    absl::MutexLock lock(&shard.mu);
    auto it = shard.known.find(ino.value());
    if (it == shard.known.end() || absl::Now() - it->second.since < kKnownFor) {
      return absl::ZeroDuration();
    }
  }
  return std::min(kLongest, cache_->ValidFor());
}

absl::Duration KernelMemory::NamesFor(bool cached) const {
  if (!cached || !epochs_) return absl::ZeroDuration();
  return std::min(kLongest, cache_->ValidFor());
}

void KernelMemory::Looked(InodeNumber ino) {
  Shard& shard = ShardOf(ino);
  absl::MutexLock lock(&shard.mu);
  Known& known = shard.known[ino.value()];
  if (known.lookups++ == 0) known.since = absl::Now();
}

void KernelMemory::Forgotten(InodeNumber ino, uint64_t times) {
  Shard& shard = ShardOf(ino);
  absl::MutexLock lock(&shard.mu);
  auto it = shard.known.find(ino.value());
  if (it == shard.known.end()) return;
  it->second.lookups -= std::min(it->second.lookups, times);
  if (it->second.lookups == 0) shard.known.erase(it);
}

size_t KernelMemory::inodes() const {
  size_t sum = 0;
  for (const Shard& shard : shards_) {
    absl::MutexLock lock(&shard.mu);
    sum += shard.known.size();
  }
  return sum;
}

void KernelMemory::DropNames() {
  fuse_session* const session = session_.load();
  if (session == nullptr || !epochs_) return;
  fuse_out_header header = {};
  header.len = sizeof(header);
  header.error = kNotifyIncEpoch;
  // Fails only when the mount is gone, and what it remembers with it.
  (void)!write(fuse_session_fd(session), &header, sizeof(header));
}

void KernelMemory::DropAttributes(InodeNumber ino) {
  fuse_session* const session = session_.load();
  if (session != nullptr) fuse_lowlevel_notify_inval_inode(session, NodeOf(ino), -1, 0);
}

void KernelMemory::DropPages(InodeNumber ino, uint64_t offset, uint64_t length) {
  fuse_session* const session = session_.load();
  if (session == nullptr) return;
  fuse_lowlevel_notify_inval_inode(session, NodeOf(ino), static_cast<off_t>(offset),
                                   static_cast<off_t>(length));
}

}  // namespace penstock::client
