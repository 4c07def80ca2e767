// FenceBoard keeps the list of fenced sessions: persisted and synced before anyone hears of it,
// numbered so that a server can say up to where it obeys. Fence() only notes; Work(), on the
// cluster's thread, writes and answers. Thread-safe; Work and Expire on one thread.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <vector>

#include "common/clock.h"
#include "metaserver/cluster/cluster_records.h"
#include "metaserver/log/replicated_log.h"
#include "metaserver/reclaim/cluster_work.h"

namespace penstock::metaserver {

class FenceBoard : public SessionFence {
 public:
  using Done = absl::AnyInvocable<void() &&>;
  // The lowest fence version that any live server obeys; UINT64_MAX when no server is live.
  using LowestConfirmed = std::function<uint64_t()>;
  // All pointers must outlive the board.
  struct Sources {
    MetaStore* store = nullptr;
    ReplicatedLog* log = nullptr;
    Clock* clock = nullptr;
    LowestConfirmed lowest_confirmed;
  };
  FenceBoard(Sources sources, const std::vector<record::Fence>& stored);

  // There is at most one call under way a session, so what waits is bounded by the sessions.
  void Fence(SessionId session, Done done) override;
  // Every live chunkserver obeys the list up to this version. One that is offline gets the list
  // before it may serve again.
  bool AllServersConfirmed(uint64_t fence_version) const;

  struct List {
    uint64_t version = 0;
    std::vector<SessionId> sessions;
  };
  List Current() const;  // what is on disk

  // Makes new fences durable, and answers those that every server confirmed.
  absl::Status Work();
  // Forgets fences older than any write could be (kFenceKeptFor).
  absl::Status Expire();

 private:
  struct Waiter {
    SessionId session;
    Done done;
  };
  absl::Status StoreNew();

  const Sources sources_;
  mutable absl::Mutex mu_;
  uint64_t version_ ABSL_GUARDED_BY(mu_) = 0;
  absl::btree_map<SessionId, record::Fence> fences_ ABSL_GUARDED_BY(mu_);
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::metaserver
