// GroupPass goes once through all chunks of a group, here and at a source, and brings those here to
// the source's state (sync_rules.h). One thread.
//
// Locks: the chunk's place (chain/chunk_locks.h) is held while the source is asked and the chunk is
// changed. The source answers from workers that take no chunk's place, so nobody waits in a circle.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>

#include "chunkserver/chain/chunk_locks.h"
#include "chunkserver/chain/peer_clients.h"
#include "chunkserver/stop_flag.h"
#include "chunkserver/sync/byte_rate.h"
#include "chunkserver/sync/sync_rules.h"
#include "chunkserver/sync/sync_source.h"
#include "chunkserver/targets.h"
#include "common/cluster_map.h"

namespace penstock::chunkserver {

// What was done for a target since the start.
struct SyncCounters {
  std::atomic<uint64_t> chunks_done{0};
  std::atomic<uint64_t> bytes_fetched{0};
};

class GroupPass {
 public:
  struct Parts {
    const MapHolder* map = nullptr;
    PeerClients* peers = nullptr;
    ChunkLocks* locks = nullptr;
    ByteRate* rate = nullptr;
    const StopFlag* stop = nullptr;             // ends waits
    const net::Interrupt* interrupt = nullptr;  // ends calls
  };
  struct Subject {
    Target* target = nullptr;  // open
    Group group;               // as of the pass
    uint32_t group_count = 0;
    SyncCounters* counters = nullptr;
  };
  // All parts outlive it.
  GroupPass(const Parts& parts, Subject subject);

  // An error: it could not go on. OK: it went through; left() says whether anything is undone.
  absl::Status Run(TargetId source);
  // Forgets what is pending here; for the leader, when all others have been asked.
  absl::Status DiscardPending();
  uint64_t left() const { return left_; }
  // Of contents below it the source may lack chunks (ChunkStore::MayLack); 0: of none.
  uint64_t unknown_below() const { return unknown_below_; }
  // Why something was left, if it was an error.
  const absl::Status& left_because() const { return left_because_; }

 private:
  struct OwnState {
    ChunkKey key;
    ChunkInfo info;
  };
  absl::StatusOr<PagedCursor<OwnState>::Page> ListOwn(const std::optional<ChunkKey>& after);
  absl::Status CheckGoesOn() const;
  absl::Status Compare(SyncSource& source, const OwnState* own, const ListedState* listed);
  absl::Status Examine(SyncSource& source, const ChunkKey& key);
  absl::Status CarryOut(const SyncDecision& decision, const ChunkKey& key, const ChunkInfo& own,
                        const FetchedChunk& fetched);
  absl::Status Discard(const ChunkKey& key);

  const Parts parts_;
  const Subject subject_;
  const SyncPass pass_;
  uint64_t left_ = 0;
  uint64_t unknown_below_ = 0;
  absl::Status left_because_;
};

}  // namespace penstock::chunkserver
