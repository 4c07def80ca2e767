// CopyRepair mends damaged copies on this server's targets (repair_rules.h): it walks the stores'
// lists of quarantined chunks, and for each asks the other members in sync for the same version
// until one has it. What cannot be mended is tried again, ever more rarely, and at once under a new
// epoch of its group. One thread. Thread-safe.
//
// Locks: the chunk's place is held while a source is asked and the copy replaced, as in
// sync/group_pass.h: sources answer from threads that take no place.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <optional>
#include <string>
#include <thread>

#include "chunkserver/chain/chunk_locks.h"
#include "chunkserver/chain/peer_clients.h"
#include "chunkserver/chain/pending_settler.h"
#include "chunkserver/scrub/repair_rules.h"
#include "chunkserver/stop_flag.h"
#include "chunkserver/sync/byte_rate.h"
#include "chunkserver/targets.h"
#include "common/clock.h"
#include "common/cluster_map.h"

namespace penstock::chunkserver {

class CopyRepair {
 public:
  // All outlive it.
  struct Parts {
    const MapHolder* map = nullptr;
    const Targets* targets = nullptr;
    PeerClients* peers = nullptr;
    ChunkLocks* locks = nullptr;
    PendingSettler* settler = nullptr;
    Clock* clock = nullptr;
  };
  struct Options {
    uint64_t bytes_per_second = 0;  // fetched; 0: as fast as it goes
    RepairPauses pauses;
    absl::Duration look_every = absl::Milliseconds(200);
  };
  CopyRepair(const Parts& parts, const Options& options);
  ~CopyRepair();  // Stop()

  void Start();
  void Stop();
  // Goes once through what is damaged and due; the thread does so again and again.
  void Round();
  void SetRate(uint64_t bytes_per_second) { rate_.Set(bytes_per_second); }

 private:
  enum class Outcome : uint8_t {
    kMended,
    kGone,   // deleted, written anew, or no longer this target's
    kRetry,  // something is under way, or a member that may have it does not answer
    kLost,   // all members in sync were asked
  };
  struct Result {
    Outcome outcome = Outcome::kRetry;
    std::string why;
  };
  struct Attempt {
    int tries = 0;
    uint32_t epoch = 0;  // of the group, at the last try
    absl::Duration due;
    bool seen = false;  // in this round
  };
  using AttemptId = ChunkLockId;

  void RoundOf(Target& target);
  void Consider(Target& target, const ChunkKey& key);
  Result Try(Target& target, const ChunkKey& key, const Group* group);
  // `source` has it, or why not. DATA_LOSS: its copy is damaged, too.
  absl::StatusOr<MendAction> TakeFrom(Target& target, const ChunkKey& key, const Group& group,
                                      TargetId source);
  void Note(Target& target, const ChunkKey& key, const Result& result, Attempt& attempt);
  // The group in which the target is in sync for this chunk; nullptr: it is in none.
  const Group* GroupFor(const ClusterMap& map, TargetId target, const ChunkKey& key) const;

  const Parts parts_;
  const Options options_;
  ByteRate rate_;
  StopFlag stop_;
  net::Interrupt interrupt_;
  // Of the thread only. Bounded by kMostAttempts: what is beyond waits for the first ones.
  absl::flat_hash_map<AttemptId, Attempt> attempts_;
  std::thread thread_;
};

}  // namespace penstock::chunkserver
