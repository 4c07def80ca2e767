// FileLocks is the table of all locks of files (README.md of this folder has the rules). It decides
// and remembers; it knows neither sessions' lives nor the network. Thread-safe; answers to waits
// are given on the thread that caused them, with no lock held.
//
// An owner is (session, owner number): a process for fcntl's traditional locks, an open file
// description for the others; the kernel's numbers of the two never meet.
//
// After a start (BeginGrace) nobody knows what is locked until every session has presented its
// locks: unlocking and locking again what one holds go on, conflicts are told, waits are queued,
// and everything else is ABORTED, so that the client tries again.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/container/inlined_vector.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "common/ids.h"
#include "common/lock_ranges.h"
#include "metaserver/current_client.h"
#include "metaserver/locks/lock_replies.h"
#include "proto/meta.pb.h"

namespace penstock::metaserver {

struct FileLocksOptions {
  // All of a session's locks must fit into one heartbeat after a restart.
  size_t max_locks_per_session = 1 << 15;
  size_t max_waits_per_session = 1 << 15;
};

// Takes the answers of waits that were queued. Called with no lock held.
class LockAnswers {
 public:
  virtual ~LockAnswers() = default;
  virtual void Answer(SessionId session, const wire::LockAnswer& answer) = 0;
};

struct LockOutcome {
  absl::Status status;  // EAGAIN, EDEADLK, ENOLCK; ABORTED: not known yet, try again
  bool queued = false;
  std::vector<SessionId> in_the_way = {};  // whose locks refused or queued it
};

struct LockCounts {
  size_t locks = 0;
  size_t waiting = 0;
};

class FileLocks {
 public:
  // `answers` may be null: then waiters hear of their grant only by asking again. Must outlive
  // this.
  FileLocks(FileLocksOptions options, LockAnswers* answers)
      : options_(options), answers_(answers) {}

  // The request's session is in its context; the fields have been checked (CheckLock). Here and
  // below FAILED_PRECONDITION kOldSequence: a later client goes on with the session.
  LockOutcome Set(const wire::SetLockRequest& request);
  absl::StatusOr<wire::GetLockResponse> Get(const wire::GetLockRequest& request) const;
  // The locks of one owner, or those taken through one open file.
  absl::Status Release(const wire::ReleaseLocksRequest& request);
  // Ends a wait. NOT_FOUND: no such wait is known; the client says anew what it holds.
  absl::StatusOr<wire::CancelLockResponse> Cancel(const wire::CancelLockRequest& request);

  // --- sessions
  void DropSession(SessionId session);  // it is over for good: what it held goes to who waits
  struct Resumed {
    std::vector<wire::FileLock> locks;
    bool unknown = false;  // what it held before the restart is lost
  };
  // Another client goes on with the session and its locks; the waits of the clients before it are
  // over. Safe to repeat.
  absl::StatusOr<Resumed> Resume(SessionId session, uint64_t client);
  LockCounts CountsOf(SessionId session) const;
  // Sessions whose locks others wait for, or whose locks nobody knows yet while others want one.
  std::vector<SessionId> InTheWay() const;

  // --- after a start
  void BeginGrace(absl::Span<const SessionId> sessions);  // those whose locks are not known
  bool InGrace() const;
  // What a session holds, as it presents it. How many could not be given back. Only the first list
  // of an awaited session counts: later ones may be older than its requests.
  size_t Reclaim(SessionId session, absl::Span<const wire::FileLock> locks);

 private:
  struct Owner {
    uint64_t session = 0;
    uint64_t number = 0;
    friend auto operator<=>(const Owner&, const Owner&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Owner& owner) {
      return H::combine(std::move(h), owner.session, owner.number);
    }
  };
  struct Owned {
    LockRanges ranges;
    uint64_t handle = 0;  // it was last locked through
    uint32_t pid = 0;
    wire::LockKind kind = wire::LOCK_POSIX;
  };
  // Locks that exclude each other: those of fcntl, or those of flock.
  struct Space {
    absl::btree_map<Owner, Owned> owners;
    size_t writes = 0;  // exclusive pieces of all owners
  };
  struct Waiter {
    Owner owner;
    uint64_t ticket = 0;
    wire::FileLock lock;
    uint64_t client = 0;  // that asked
  };
  struct File {
    Space record;
    Space whole;
    std::list<Waiter> waiting;  // in order of arrival
    Space& space(wire::LockKind kind) { return kind == wire::LOCK_FLOCK ? whole : record; }
  };
  struct Session {
    size_t locks = 0;                                 // pieces
    absl::flat_hash_map<uint64_t, uint32_t> uses;     // inode -> owners and waits of this session
    absl::flat_hash_map<uint64_t, uint64_t> tickets;  // of waits -> inode
    LockReplies replies;
    CurrentClient client;
  };
  struct Blocker {
    Owner owner;
    LockPiece piece;
  };
  struct Answered {
    SessionId session;
    wire::LockAnswer answer;
  };
  using Answers = std::vector<Answered>;

  // file_locks.cc
  LockOutcome SetLocked(const wire::SetLockRequest& request, Answers* answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  LockOutcome Decide(const wire::SetLockRequest& request, Answers* answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  LockOutcome Refuse(const wire::SetLockRequest& request, const std::vector<Blocker>& blockers,
                     Answers* answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<Blocker> BlockersOf(const wire::FileLock& lock, Owner owner, size_t at_most) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  bool HoldsAlready(const wire::FileLock& lock, Owner owner) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // ENOLCK when the session would hold too many.
  absl::Status Apply(const wire::FileLock& lock, Owner owner) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropOwner(uint64_t ino, wire::LockKind kind, Owner owner) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Session& SessionOf(uint64_t session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Use(uint64_t session, uint64_t ino) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Unuse(uint64_t session, uint64_t ino) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetIfUnused(uint64_t ino) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static wire::FileLock Describe(uint64_t ino, Owner owner, const Owned& owned, LockPiece piece);

  // lock_waits.cc
  // ENOLCK when the session waits for too many.
  absl::Status Enqueue(Waiter waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::list<Waiter>::iterator Dequeue(File& file, std::list<Waiter>::iterator it)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Answer(const Waiter& waiter, uint32_t err, Answers* answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Serve(uint64_t ino, Answers* answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool ServeOnce(File& file, Answers* answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool WouldDeadlock(const wire::FileLock& lock, Owner owner) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void RefuseDeadlocks(uint64_t ino, Answers* answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // lock_sessions.cc
  // An earlier client of its session is refused; ABORTED: what the session holds is not known yet.
  absl::Status CheckAsker(const wire::MetaContext& context) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void DropEarlierWaits(uint64_t session, uint64_t client) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<wire::FileLock> HeldBy(uint64_t session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndGrace(Answers* answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Send(const Answers& answers) ABSL_LOCKS_EXCLUDED(mu_);

  const FileLocksOptions options_;
  LockAnswers* const answers_;
  mutable absl::Mutex mu_;  // innermost; never held over an answer
  absl::flat_hash_map<uint64_t, std::unique_ptr<File>> files_ ABSL_GUARDED_BY(mu_);  // by inode
  absl::flat_hash_map<uint64_t, std::unique_ptr<Session>> sessions_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<uint64_t> contended_ ABSL_GUARDED_BY(mu_);  // inodes with waiters
  // Waits of processes, for the search of circles: by owner, (inode, ticket).
  absl::flat_hash_map<Owner, absl::InlinedVector<std::pair<uint64_t, uint64_t>, 1>> process_waits_
      ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<uint64_t> unpresented_ ABSL_GUARDED_BY(mu_);  // sessions in grace
  bool grace_hurts_ ABSL_GUARDED_BY(mu_) = false;  // somebody was sent away because of it
};

// INVALID_ARGUMENT for what no kernel asks.
absl::Status CheckLock(const wire::FileLock& lock);
LockRange RangeOf(const wire::FileLock& lock);
LockType TypeOf(const wire::FileLock& lock);

}  // namespace penstock::metaserver
