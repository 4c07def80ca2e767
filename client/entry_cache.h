// EntryCache keeps names and records of inodes for as long as leases of the metaserver cover them
// (DESIGN.md section 7): what it gives is what the metaserver would answer now. Thread-safe;
// bounded by bytes, the least used lease goes first.
//
// Three things keep it exact.
//  - Time: nothing is given once the last acknowledged heartbeat is too old (SetValidUntil).
//  - Calls: what a call answers is kept only if nothing of it was dropped since the call began
//    (token). An answer that an invalidation has overtaken is thus used once.
//  - Own changes: from before the call until its answer is here, what it changes is neither given
//    nor kept (CacheChange).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/name_ref.h"
#include "common/clock.h"
#include "common/ids.h"
#include "proto/meta.pb.h"

namespace penstock::client {

struct CachedName {
  std::string name;
  InodeNumber ino;
  uint32_t type = 0;  // S_IFMT bits
};

class EntryCache {
 public:
  EntryCache(size_t max_bytes, Clock* clock);

  // --- time
  void SetValidUntil(absl::Duration since_boot);
  absl::Duration ValidFor() const;  // zero: not valid

  // --- what is known
  enum class Name { kUnknown, kAbsent, kHere };
  Name Lookup(InodeNumber parent, std::string_view name, wire::Entry* entry);
  bool Knows(const NameRef& name, InodeNumber ino);  // that it is this one's
  std::optional<wire::Entry> Record(InodeNumber ino);
  struct Listing {
    std::vector<CachedName> names;  // after the one asked for, in byte order
    bool end = false;
    InodeNumber parent;
  };
  std::optional<Listing> ListAfter(InodeNumber directory, std::string_view after, size_t limit);

  // --- what calls answer
  uint64_t token() const { return clock_of_drops_.load(std::memory_order_acquire); }
  // Something that the inode's record says may have changed since.
  bool DroppedSince(uint64_t token, InodeNumber ino) const;
  // Whether it is kept.
  bool StoreName(uint64_t token, InodeNumber parent, const CachedName& name);
  bool StoreAbsent(uint64_t token, InodeNumber parent, std::string_view name);
  bool StoreRecord(uint64_t token, const wire::Entry& entry);
  void StorePage(uint64_t token, const wire::ReaddirRequest& request,
                 const wire::ReaddirResponse& response);

  // --- what the metaserver says
  InodeNumber DropName(InodeNumber parent, std::string_view name);  // what it was, if known
  void DropRecord(InodeNumber ino);
  // Everything under a lease; what the kernel may have of it. Until FinishRelease() nothing is
  // kept under it.
  struct Dropped {
    std::vector<InodeNumber> leases;
    std::vector<InodeNumber> records;
  };
  Dropped Revoke(InodeNumber lease);
  Dropped DropAll();
  // Leases that had to go for want of memory, to be told to the metaserver.
  Dropped TakeReleases();
  void FinishRelease(const std::vector<InodeNumber>& leases);
  std::vector<uint64_t> leases() const;  // those held
  bool Holds(InodeNumber lease) const;
  size_t lease_count() const;

  size_t bytes() const;

 private:
  friend class CacheChange;
  static constexpr size_t kStripes = 1 << 14;
  enum class Kind : uint8_t { kHere, kAbsent, kUnknown };
  struct NameState {
    Kind kind = Kind::kUnknown;
    uint64_t ino = 0;
    uint32_t type = 0;
  };
  struct Lease {
    absl::btree_map<std::string, NameState, std::less<>> names;
    absl::flat_hash_set<uint64_t> records;
    bool complete = false;       // every name is here
    size_t unknown = 0;          // names of kind kUnknown
    bool listing = false;        // pages up to listed_through are here
    std::string listed_through;  // "" at the start
    uint64_t parent = 0;
    size_t bytes = 0;
    std::list<uint64_t>::iterator age;
  };
  struct Stored {
    std::string bytes;  // a wire::Entry, serialised: a tenth of its size in memory
    uint64_t lease = 0;
  };
  static uint64_t NameMark(InodeNumber parent, std::string_view name);
  static uint64_t RecordMark(uint64_t ino);
  static uint64_t DirectoryMark(InodeNumber directory);  // any name of it
  static uint64_t LeaseMark(uint64_t lease);

  bool valid() const;
  // An answer to a call that began then may speak of a lease that is held: it was not dropped.
  bool HeldSince(uint64_t lease, uint64_t token) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool KeptSince(uint64_t mark, uint64_t lease, uint64_t token) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NoteDrop(uint64_t mark) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Lease* Find(uint64_t lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What the name leads to; invalid: not known, or absent.
  InodeNumber FindName(InodeNumber parent, std::string_view name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Lease& GetOrMake(uint64_t lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetName(Lease& lease, std::string_view name, NameState state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetName(InodeNumber parent, std::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetRecord(uint64_t ino) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PutRecord(const wire::Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndRelease(uint64_t lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Erase(uint64_t lease, Dropped* dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Trim(uint64_t keep) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddBytes(Lease& lease, int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const size_t max_bytes_;
  Clock* const clock_;
  std::atomic<int64_t> valid_until_ns_{0};
  std::atomic<uint64_t> clock_of_drops_{1};
  mutable absl::Mutex mu_;  // innermost
  absl::flat_hash_map<uint64_t, std::unique_ptr<Lease>> leases_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint64_t, Stored> records_ ABSL_GUARDED_BY(mu_);
  std::list<uint64_t> by_age_ ABSL_GUARDED_BY(mu_);                   // least used first
  absl::flat_hash_map<uint64_t, int> changing_ ABSL_GUARDED_BY(mu_);  // marks
  std::vector<uint64_t> dropped_at_ ABSL_GUARDED_BY(mu_);             // by a mark's stripe
  uint64_t all_dropped_at_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_map<uint64_t, int> releasing_ ABSL_GUARDED_BY(mu_);  // how often each
  Dropped to_release_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

// One change that this mount makes, from before its call until its answer was taken over. The names
// and inodes given to the constructor are what it may change.
class CacheChange {
 public:
  // `cache` may be null: nothing is cached.
  CacheChange(EntryCache* cache, std::vector<NameRef> names, std::vector<InodeNumber> inodes);
  ~CacheChange();
  CacheChange(const CacheChange&) = delete;
  CacheChange& operator=(const CacheChange&) = delete;

  // For the request: the metaserver need not tell us of these.
  template <typename Request>
  void Declare(Request& request) const {
    for (InodeNumber ino : inodes_) request.mutable_context()->add_changing(ino.value());
  }
  // What the answer says. A name that nothing is said about is unknown from now on.
  void IsHere(size_t name, InodeNumber ino, uint32_t type);  // the n-th name
  void IsAbsent(size_t name);
  void IsUnchanged();  // the call failed before it changed anything
  void IsNow(const wire::Entry& record);

 private:
  EntryCache* const cache_;
  const std::vector<NameRef> names_;
  const std::vector<InodeNumber> inodes_;
  uint64_t token_ = 0;
  bool unchanged_ = false;
  std::vector<std::optional<EntryCache::NameState>> states_;
  std::vector<wire::Entry> records_;
};

}  // namespace penstock::client
