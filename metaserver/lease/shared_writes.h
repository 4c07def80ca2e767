// SharedWrites gives the right to change a file that several sessions use to one session at a time,
// in the order in which they asked. Thread-safe; callbacks run with no lock held.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>
#include <absl/synchronization/mutex.h>

#include <deque>
#include <vector>

#include "common/ids.h"

namespace penstock::metaserver {

class SharedWrites {
 public:
  using Granted = absl::AnyInvocable<void() &&>;
  // A session has one turn, which its clients hand down: an earlier client cannot end a later
  // one's.
  struct Who {
    SessionId session;
    uint64_t client = 0;
  };
  // `granted` now or later. A session that has the right, or waits for it, may ask again: its older
  // question is answered too. Who is refused in the end gives the right back.
  void Begin(Who who, InodeNumber ino, Granted granted);
  void End(Who who, InodeNumber ino);  // also of one that only waits
  bool Holds(SessionId session, InodeNumber ino) const;
  void EndEarlier(Who who);  // what the session's clients before this one have or wait for
  void Gone(SessionId session);

 private:
  struct Waiter {
    Who who;
    Granted granted;
  };
  struct Turn {
    Who holder;
    std::deque<Waiter> waiting;
  };
  // Of the session's clients up to `last`.
  void EndLocked(Who last, uint64_t ino, std::vector<Granted>* call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndAll(Who last);

  mutable absl::Mutex mu_;
  absl::flat_hash_map<uint64_t, Turn> turns_ ABSL_GUARDED_BY(mu_);  // by inode
};

}  // namespace penstock::metaserver
