// FenceBoard keeps the list of fenced sessions: persisted and synced before anyone hears of it,
// numbered so that a server can say up to where it obeys. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <vector>

#include "common/clock.h"
#include "metaserver/cluster/change_turn.h"
#include "metaserver/cluster/cluster_records.h"
#include "metaserver/cluster/session_fencer.h"
#include "metaserver/log/replicated_log.h"

namespace penstock::metaserver {

class FenceBoard : public SessionFencer {
 public:
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

  absl::StatusOr<uint64_t> Fence(SessionId session) override;
  bool IsFenced(SessionId session) const override;
  bool AllServersConfirmed(uint64_t fence_version) const override;

  struct List {
    uint64_t version = 0;
    std::vector<SessionId> sessions;
  };
  List Current() const;
  // Forgets fences older than any write could be (kFenceKeptFor).
  absl::Status Expire();

 private:
  const Sources sources_;
  ChangeTurn turn_;  // one thread writes records at a time
  mutable absl::Mutex mu_;
  uint64_t version_ ABSL_GUARDED_BY(mu_) = 0;
  absl::btree_map<SessionId, record::Fence> fences_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::metaserver
