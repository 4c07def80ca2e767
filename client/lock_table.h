// LockTable is what this mount knows of the locks that its processes hold at the metaserver: what
// to present after a restart, and which closes must tell the metaserver (those of files that were
// never locked cost no call). Thread-safe; calls nobody.
//
// The kernel names owners by numbers of its own: of the process's table of files for fcntl's
// traditional locks, of the open file for the two other kinds. FUSE does not say which kind a
// fcntl lock is, and need not: FLUSH (each close) comes with the process's number, so it ends just
// the traditional locks of that process, as close(2) must; RELEASE (the last close of an open
// file) ends what was locked through it: the locks of the open file, for whose end the kernel
// sends nothing else. A traditional lock taken through that open file is gone by then, because
// every process that had it open has sent its FLUSH.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "common/lock_ranges.h"
#include "proto/meta.pb.h"

namespace penstock::client {

class LockTable {
 public:
  explicit LockTable(Clock* clock) : clock_(clock) {}  // must outlive the table

  // --- a request to lock or unlock, from before it is sent until its answer
  void Begin(const wire::FileLock& lock);
  enum class Outcome {
    kDone,
    kRefused,  // as it was; but flock(2) has lost what it wanted to convert
    kUnknown,  // perhaps it happened
  };
  void End(const wire::FileLock& lock, Outcome outcome);
  // A wait was queued: flock(2) has lost what it wants to convert.
  void Suspend(const wire::FileLock& lock);
  // The metaserver may have given this, though nobody knows of it: the next close must tell it.
  void Doubt(const wire::FileLock& lock);
  // The requests that make the metaserver agree with this table in the range of `lock`.
  std::vector<wire::FileLock> Pieces(const wire::FileLock& lock) const;

  // --- closes
  // Of a process's traditional locks, or of what was locked through an open file: what the
  // metaserver must be told to release, an unlock of each owner. Empty: it has nothing.
  std::vector<wire::FileLock> OfOwner(InodeNumber ino, uint64_t owner);
  std::vector<wire::FileLock> OfHandle(InodeNumber ino, uint64_t handle);
  // It was told so. What was locked since that question stays.
  void Released(const std::vector<wire::FileLock>& locks);
  // A descriptor of the open file was closed; perhaps it was the last, and its RELEASE comes soon.
  void NoteClose(InodeNumber ino, uint64_t handle);
  // The kernel tells of the last close, or of a process's end, only after close(2) or wait(2) have
  // returned. While what is in `wanted`'s way here is on its way out like that, waits a moment.
  // Whether it is gone.
  bool AwaitDeparture(const wire::FileLock& wanted);

  // --- sessions
  void AddTo(wire::SessionHeartbeatRequest* report) const;
  // The session is lost, and every lock with it. An unlock of each owner: what was granted in the
  // new session already is forgotten too, and must be given back there.
  std::vector<wire::FileLock> Forget();
  uint64_t losses() const { return losses_; }

  size_t size() const { return size_; }  // owners

 private:
  struct Key {
    bool whole = false;  // flock: a space of its own
    uint64_t owner = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Held {
    LockRanges ranges;
    wire::FileLock last;   // kind, handle and pid are the newest
    int under_way = 0;     // requests
    uint64_t answers = 0;  // to requests, until now
    uint64_t answers_at_release = 0;
    bool uncertain = false;  // the metaserver may have more: two requests at once, or no answer
    absl::Duration closed = -absl::InfiniteDuration();  // a descriptor of its open file was
    bool waited_for = false;                            // its process is gone, but it is not
  };
  using File = absl::btree_map<Key, Held>;

  static Key KeyOf(const wire::FileLock& lock);
  static wire::FileLock Piece(const Held& held, const LockPiece& piece);
  wire::FileLock StartRelease(Held& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EraseIfEmpty(File& file, uint64_t ino, Key key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Departs(const wire::FileLock& wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Clock* const clock_;
  std::atomic<size_t> size_{0};  // changes under mu_; read without it by closes
  std::atomic<uint64_t> losses_{0};
  mutable absl::Mutex mu_;                                          // innermost
  absl::flat_hash_map<uint64_t, File> files_ ABSL_GUARDED_BY(mu_);  // by inode
};

}  // namespace penstock::client
