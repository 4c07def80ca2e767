// DataChanges knows which files' bytes are about to change and which sessions have dropped the old
// bytes for it. Such a session would cache them anew if it were given the old record: its question
// is held back until the change is applied. When it must be answered before, the session is told
// again. So at the moment a change is applied nobody has the old bytes. It decides; it sends
// nothing. Thread-safe; what waits is called by whoever ends the wait, with no lock held.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstdint>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"

namespace penstock::metaserver {

// One mutation, over all its attempts. Outlives what it waits for.
class DataChange {
 public:
  using Go = absl::AnyInvocable<void() &&>;
  explicit DataChange(SessionId changer) : changer_(changer) {}

 private:
  friend class DataChanges;
  struct Told {
    bool answered = false;
    bool asked = false;  // it was answered afterwards with what was there before
  };
  const SessionId changer_;
  // By inode, by session.
  absl::flat_hash_map<uint64_t, absl::flat_hash_map<uint64_t, Told>> told_;
  std::vector<Go> let_go_;
};

class DataChanges {
 public:
  using Go = DataChange::Go;
  static constexpr absl::Duration kLongestHold = absl::Seconds(1);
  static constexpr int kMostHeld = 2;  // questions of one session: each takes a connection of it

  explicit DataChanges(Clock* clock) : clock_(clock) {}

  // True: `session` has to be told, for the first time or again. The questions of it that are held
  // go with the next LetGo(), since dropping pages waits for the reads that asked them.
  bool Tell(DataChange& change, InodeNumber ino, SessionId session);
  // The same when it is told in any case.
  void Told(DataChange& change, InodeNumber ino, SessionId session);
  void LetGo(DataChange& change);
  void Answered(DataChange& change, InodeNumber ino, SessionId session);
  void End(DataChange& change);  // applied or given up; safe to repeat

  bool Knows(InodeNumber ino, SessionId session) const;  // of a change, because it was told
  // `session` is about to have the old record, by a change of its own.
  void NoteAsked(InodeNumber ino, SessionId session);
  // `session` asks for the record of a file. True: `go` will be run when it may have it. False:
  // now, and `go` is dropped.
  bool Hold(InodeNumber ino, SessionId session, Go go);
  void ReleaseOverdue();  // now and then: what was held for kLongestHold
  void ReleaseAll();      // before the server stops

 private:
  struct Held {
    SessionId session;
    Go go;
    absl::Duration until;
  };
  struct File {
    std::vector<DataChange*> changes;
    std::vector<Held> held;
  };
  static bool MustWait(const File& file, uint64_t ino, SessionId session);
  static void NoteAsked(const File& file, uint64_t ino, SessionId session);  // it is told again
  void NoteTold(DataChange& change, InodeNumber ino, SessionId session)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  template <typename Condition>
  void Take(File& file, Condition condition, std::vector<Go>* go)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Release(absl::Duration held_until);

  Clock* const clock_;
  mutable absl::Mutex mu_;                                          // innermost
  absl::flat_hash_map<uint64_t, File> files_ ABSL_GUARDED_BY(mu_);  // by inode
  absl::flat_hash_map<uint64_t, int> held_ ABSL_GUARDED_BY(mu_);    // how many, by session
};

}  // namespace penstock::metaserver
