// InodeTable has the one Inode of each inode that is in use here, and remembers a bounded number of
// unused ones for their page cache. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>
#include <absl/synchronization/mutex.h>

#include <list>
#include <memory>

#include "client/inode.h"

namespace penstock::client {

class InodeTable {
 public:
  explicit InodeTable(size_t limit) : limit_(limit) {}
  // Before anything else: the kernel may have pages of any of them.
  void ExpectPages() { expect_pages_ = true; }

  std::shared_ptr<Inode> GetOrMake(InodeNumber ino);
  std::shared_ptr<Inode> Find(InodeNumber ino) const;  // nullptr: not known here
  // Brings a known inode up to date and gives what it is now, local writes included.
  wire::Entry Absorb(const wire::Entry& fresh) const;
  void ForEach(absl::FunctionRef<void(Inode&)> visit) const;
  size_t size() const;

 private:
  struct Slot {
    std::shared_ptr<Inode> inode;
    std::list<InodeNumber>::iterator age;
  };
  void Trim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const size_t limit_;
  bool expect_pages_ = false;
  mutable absl::Mutex mu_;  // before an Inode's
  absl::flat_hash_map<InodeNumber, Slot> slots_ ABSL_GUARDED_BY(mu_);
  std::list<InodeNumber> by_age_ ABSL_GUARDED_BY(mu_);  // oldest first
};

}  // namespace penstock::client
