// KernelMemory is what the kernel remembers of this mount, and how it is told to forget.
// Thread-safe.
//
// The kernel may keep a name or attributes for as long as a lease surely covers them. Attributes
// are given a time only for an inode that the kernel has known for a while: a first answer may
// still be on its way into a new inode when the word to drop them comes, which then finds none; for
// a known inode the kernel itself ignores answers from before that word. Names are dropped all at
// once (FUSE_NOTIFY_INC_EPOCH, Linux 6.16): to drop a single one, the kernel waits for the
// directory's lock, which an operation may hold that waits for another mount's answer. On older
// kernels names get no time, so each step of a path asks the client, which answers from its cache.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <array>
#include <atomic>

#include "client/entry_cache.h"
#include "client/fuse/libfuse.h"
#include "client/kernel_cache.h"

namespace penstock::client {

class KernelMemory : public KernelCache {
 public:
  // `cache` says how long leases last; must outlive it. `root`: the mounted directory.
  KernelMemory(const EntryCache* cache, InodeNumber root) : cache_(cache), root_(root) {}

  void SetSession(fuse_session* session) { session_.store(session); }  // null: no mount any more
  void SetEpochs(bool known) { epochs_ = known; }  // what the kernel said at INIT

  // For an answer about `ino` that is covered (`leased`) or not.
  absl::Duration AttributesFor(InodeNumber ino, bool leased) const;
  absl::Duration NamesFor(bool cached) const;
  // An answer made the kernel remember the inode once more.
  void Looked(InodeNumber ino);
  void Forgotten(InodeNumber ino, uint64_t times);
  size_t inodes() const;

  void DropNames() override;
  void DropAttributes(InodeNumber ino) override;
  void DropPages(InodeNumber ino, uint64_t offset, uint64_t length) override;

 private:
  static constexpr size_t kShards = 64;
  struct Known {
    uint64_t lookups = 0;
    absl::Time since;
  };
  struct Shard {
    mutable absl::Mutex mu;
    absl::flat_hash_map<uint64_t, Known> known ABSL_GUARDED_BY(mu);
  };
  Shard& ShardOf(InodeNumber ino) { return shards_[ino.value() % kShards]; }
  const Shard& ShardOf(InodeNumber ino) const { return shards_[ino.value() % kShards]; }
  fuse_ino_t NodeOf(InodeNumber ino) const { return ino == root_ ? FUSE_ROOT_ID : ino.value(); }

  const EntryCache* const cache_;
  const InodeNumber root_;
  std::atomic<fuse_session*> session_{nullptr};
  std::atomic<bool> epochs_{false};
  std::array<Shard, kShards> shards_;
};

}  // namespace penstock::client
