// LeaseTable knows which session may cache what (README.md of this folder says what a lease covers)
// and what is being changed at this moment. It decides; it sends nothing. Thread-safe.
//
// A change (LeaseChange) marks what it touches before it looks for holders. A read takes clock()
// before its snapshot and asks for the lease after it: the session is entered first, then marks and
// later changes are looked for. So either the change finds the session, or the read finds the
// change and is answered uncacheable. A directory that several sessions change grants no lease, and
// who has one gives it up with the change that it is told of.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/container/inlined_vector.h>
#include <absl/synchronization/mutex.h>
#include <absl/types/span.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "metaserver/lease/contested_directories.h"

namespace penstock::metaserver {

struct LeaseOptions {
  size_t max_leases_per_session = 1 << 20;  // the least used go when there are more
  // How long a directory that several sessions change grants none; zero: it always does.
  absl::Duration contested_window = absl::Seconds(1);
};

// What one mutation changes.
struct Touched {
  struct Name {
    InodeNumber parent;
    std::string name;
  };
  struct Record {
    InodeNumber ino;
    InodeNumber cover;  // whose lease covers it before the change; invalid: new, nobody has it
    bool data = false;  // its bytes too
  };
  std::vector<Name> names;
  std::vector<Record> records;
};

// One session and what it has to drop.
struct Recall {
  SessionId session;
  std::vector<Touched::Name> names;
  std::vector<Touched::Record> records;
  std::vector<InodeNumber> leases;  // given up as a whole; released when the session has answered
};

// What one mutation has marked, and whom it has told, over all its attempts. Lives until End().
class LeaseChange {
 private:
  friend class LeaseTable;
  absl::flat_hash_set<uint64_t> marks_;
  absl::flat_hash_set<uint64_t> names_;                      // those of them that are names
  absl::flat_hash_set<std::pair<uint64_t, uint64_t>> told_;  // session, mark
  absl::flat_hash_map<uint64_t, bool> directories_;          // whether they are contested
};

class LeaseTable {
 public:
  LeaseTable(LeaseOptions options, Clock* time);

  // --- reads
  uint64_t clock() const;  // before the snapshot
  // Several grants to one session under one lock.
  class Grants {
   public:
    Grants(LeaseTable* table, SessionId session, uint64_t since);
    ~Grants();
    Grants(const Grants&) = delete;
    Grants& operator=(const Grants&) = delete;
    bool Record(InodeNumber ino, InodeNumber cover);  // true: may be cached
    bool Name(InodeNumber parent, std::string_view name);

   private:
    LeaseTable* const table_;
    const SessionId session_;
    const uint64_t since_;
  };

  // --- changes
  // Marks; then whom to tell first, `self` only of records that are not in `declared`. Once told
  // (of the same), no second time.
  std::vector<Recall> Begin(LeaseChange& change, const Touched& touched, SessionId self,
                            absl::Span<const uint64_t> declared);
  // `self` keeps what its change made of names: others that wait to change them tell it again.
  void Applied(const LeaseChange& change, SessionId self);
  void End(LeaseChange& change);  // safe to repeat
  bool IsChanging(InodeNumber ino) const;

  // --- sessions
  // A session that is new, or came back after a restart with this generation.
  void Enter(SessionId session, uint64_t generation);
  void Forget(SessionId session);
  // Its leases are gone; it must drop its caches before it gets new ones.
  uint64_t Void(SessionId session);
  uint64_t generation(SessionId session) const;                        // 0: unknown session
  void Present(SessionId session, absl::Span<const uint64_t> leases);  // after a restart
  void Release(SessionId session, absl::Span<const uint64_t> leases);
  // The least used leases of a session above the bound; the caller revokes them.
  std::vector<uint64_t> TakeSurplus(SessionId session);
  // See LeaseOptions.
  void SetContestedWindow(absl::Duration window) {
    absl::MutexLock lock(&mu_);
    contested_.SetWindow(window);
  }
  size_t leases(SessionId session) const;

 private:
  static constexpr size_t kStripes = 1 << 16;
  struct Session {
    uint64_t generation = 0;
    absl::flat_hash_map<uint64_t, uint64_t> leases;  // inode -> when last granted
  };
  using Holders = absl::InlinedVector<uint64_t, 2>;
  static uint64_t RandomGeneration();
  static uint64_t MarkOf(InodeNumber ino);
  static uint64_t MarkOf(InodeNumber parent, std::string_view name);
  static uint64_t LeaseMark(InodeNumber lease);

  bool Hold(SessionId session, InodeNumber lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool MayGrant(InodeNumber lease) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  bool NoteContest(LeaseChange& change, InodeNumber directory, SessionId session)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Unchanged(uint64_t mark, uint64_t since) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void Mark(LeaseChange& change, uint64_t mark) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Drop(uint64_t lease, SessionId session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Clear(SessionId session, Session& state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const LeaseOptions options_;
  Clock* const time_;
  mutable absl::Mutex mu_;  // innermost
  uint64_t clock_ ABSL_GUARDED_BY(mu_) = 1;
  uint64_t last_generation_ ABSL_GUARDED_BY(mu_) = RandomGeneration();
  using Changes = absl::InlinedVector<LeaseChange*, 1>;
  absl::flat_hash_map<uint64_t, Changes> marks_ ABSL_GUARDED_BY(mu_);  // under way
  std::vector<uint64_t> changed_ ABSL_GUARDED_BY(mu_);  // by mark's stripe: last change
  absl::flat_hash_map<uint64_t, Holders> holders_ ABSL_GUARDED_BY(mu_);  // by inode
  absl::flat_hash_map<uint64_t, Session> sessions_ ABSL_GUARDED_BY(mu_);
  ContestedDirectories contested_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::metaserver
