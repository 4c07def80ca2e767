// LockTable holds the locks of mutations: on names (parent, name), always exclusive, and on inodes,
// shared (a directory that gets a name) or exclusive. Order, which makes deadlock impossible:
// the rename lock, then names, then inodes, each sorted by stripe. Striped, so two keys may share
// a lock; that costs a wait, never correctness.
#pragma once

#include <absl/synchronization/mutex.h>
#include <absl/types/span.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "common/ids.h"

namespace penstock::metaserver {

struct NameRef {
  InodeNumber parent;
  std::string_view name;
};

struct InodeLock {
  InodeNumber ino;
  bool exclusive = true;
};

class LockTable {
 public:
  // The locks of one mutation, taken and given back by one thread.
  class Held {
   public:
    explicit Held(LockTable* table) : table_(table) {}
    ~Held() { Release(); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    void LockRename();  // renames of directories across directories, one at a time
    void LockNames(absl::Span<const NameRef> names);
    void LockInodes(absl::Span<const InodeLock> inodes);
    void Release();

   private:
    LockTable* const table_;
    bool rename_ = false;
    std::vector<size_t> names_;                    // stripes
    std::vector<std::pair<size_t, bool>> inodes_;  // stripe, exclusive
  };

 private:
  static constexpr size_t kStripes = 4096;
  absl::Mutex rename_;
  std::array<absl::Mutex, kStripes> names_;
  std::array<absl::Mutex, kStripes> inodes_;
};

}  // namespace penstock::metaserver
