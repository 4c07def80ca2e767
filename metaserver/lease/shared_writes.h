// SharedWrites gives the right to change a file that several sessions use to one session at a time,
// in the order in which they asked. Thread-safe; callbacks run with no lock held.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>
#include <absl/synchronization/mutex.h>

#include <deque>

#include "common/ids.h"

namespace penstock::metaserver {

class SharedWrites {
 public:
  using Granted = absl::AnyInvocable<void() &&>;
  // `granted` now or later. A session that has the right, or waits for it, may ask again: its older
  // question is answered too.
  void Begin(SessionId session, InodeNumber ino, Granted granted);
  void End(SessionId session, InodeNumber ino);  // also of one that only waits
  bool Holds(SessionId session, InodeNumber ino) const;
  void Gone(SessionId session);

 private:
  struct Waiter {
    SessionId session;
    Granted granted;
  };
  struct Turn {
    SessionId holder;
    std::deque<Waiter> waiting;
  };
  void EndLocked(SessionId session, uint64_t ino, std::vector<Granted>* call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  absl::flat_hash_map<uint64_t, Turn> turns_ ABSL_GUARDED_BY(mu_);  // by inode
};

}  // namespace penstock::metaserver
