// PageDrops has the kernel drop cached pages of files that others changed, and says so when they
// are gone. Dropping waits for a page that a write of this mount holds; that write may in turn wait
// for whoever waits for the answer. So a write that comes answers first: while this mount itself
// writes the file, a reader here may see the other's bytes a moment later. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <optional>

#include "common/ids.h"

namespace penstock::client {

class PageDrops {
 public:
  using Done = absl::AnyInvocable<void() &&>;

  // Before a drop. `has_pages`: whether there may be some; becomes false. The result is given to
  // Finish() after the drop. None: nothing is to be dropped, and `done` was called.
  std::optional<uint64_t> Begin(InodeNumber ino, std::atomic<bool>* has_pages, Done done);
  void Finish(uint64_t number);  // calls `done` unless a write did

  // Until every drop that has begun is over, `limit` at most: one waits for pages that a request of
  // the kernel holds, which may be waiting here.
  void Await(absl::Duration limit);

  // Around each write request of the kernel.
  class Write {
   public:
    Write(PageDrops* drops, InodeNumber ino);
    ~Write();

   private:
    PageDrops* const drops_;
    const InodeNumber ino_;
  };

 private:
  struct Drop {
    InodeNumber ino;
    Done done;  // empty: a write has called it
  };
  bool AnyBefore(uint64_t number) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::Mutex mu_;
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 1;
  absl::flat_hash_map<uint64_t, Drop> drops_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<InodeNumber, int> under_way_ ABSL_GUARDED_BY(mu_);  // how many of them
  absl::flat_hash_map<InodeNumber, int> writes_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::client
