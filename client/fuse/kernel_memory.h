// KernelMemory is what the kernel remembers of this mount, and how it is told to forget.
// Thread-safe.
//
// The kernel may keep a name or attributes for as long as a lease surely covers them. Attributes
// get their time only with the answer to a GETATTR: the kernel ignores it when the word to drop
// them came since the request began. To the answer of a LOOKUP it does not (seen on Linux 6.18: a
// stale mtime once in 30 000 changes), and a new inode is not there yet when the word comes. Names
// are dropped all at once (FUSE_NOTIFY_INC_EPOCH, Linux 6.16): to drop a single one, the kernel
// waits for the directory's lock, which an operation may hold that waits for another mount's
// answer. On older kernels names get no time, so each step of a path asks the client, which answers
// from its cache.
#pragma once

#include <absl/time/time.h>

#include <atomic>

#include "client/entry_cache.h"
#include "client/fuse/given_attributes.h"
#include "client/fuse/libfuse.h"
#include "client/kernel_cache.h"

namespace penstock::client {

class KernelMemory : public KernelCache {
 public:
  // `cache` says how long leases last; both must outlive it. `root`: the mounted directory.
  KernelMemory(const EntryCache* cache, Clock* clock, InodeNumber root)
      : cache_(cache), root_(root), given_(clock) {}

  void SetSession(fuse_session* session) { session_.store(session); }  // null: no mount any more
  void SetEpochs(bool known) { epochs_ = known; }  // what the kernel said at INIT

  // Of a mount that another client served before.
  void ExpectAny() { given_.ExpectAny(); }
  // Around a GETATTR: for how long the kernel may keep what it is answered.
  uint64_t BeginAttributes(InodeNumber ino) { return given_.Begin(ino); }
  absl::Duration AttributesFor(InodeNumber ino, uint64_t begun, bool leased);
  void GiveAccessList(InodeNumber ino) { given_.GiveAccessList(ino); }
  absl::Duration NamesFor(bool cached) const;

  void DropNames() override;
  void DropAttributes(InodeNumber ino) override;
  void DropPages(InodeNumber ino, uint64_t offset, uint64_t length) override;
  std::optional<RenameCall> RenameOf(uint64_t thread) override;

 private:
  fuse_ino_t NodeOf(InodeNumber ino) const { return ino == root_ ? FUSE_ROOT_ID : ino.value(); }

  const EntryCache* const cache_;
  const InodeNumber root_;
  GivenAttributes given_;
  std::atomic<fuse_session*> session_{nullptr};
  std::atomic<bool> epochs_{false};
};

}  // namespace penstock::client
