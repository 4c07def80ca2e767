// CopyRepair mends damaged copies on this server's targets (repair_rules.h): it walks the stores'
// lists of quarantined chunks, and for each asks the other members in sync for the same version
// until one has it. What cannot be mended is tried again, ever more rarely, and at once under a new
// epoch of its group. One thread. Thread-safe.
//
// Locks: the chunk's place is held only while the copy is replaced: writers do not wait for a
// source.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "chunkserver/chain/chunk_locks.h"
#include "chunkserver/chain/peer_clients.h"
#include "chunkserver/chain/pending_settler.h"
#include "chunkserver/scrub/repair_rules.h"
#include "chunkserver/stop_flag.h"
#include "chunkserver/sync/byte_rate.h"
#include "chunkserver/sync/sync_source.h"
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
    size_t most_attempts = 100'000;  // remembered; of others a few are tried in each round
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
    uint64_t epochs = 0;  // of its groups together, at the last try
    absl::Duration due;
    bool seen = false;  // in this round
  };
  using AttemptId = ChunkLockId;
  using Groups = std::vector<const Group*>;
  // How far those are tried that are beyond what is remembered.
  struct Beyond {
    std::optional<ChunkKey> last;
    int left = 0;  // in this round
  };

  void RoundOf(Target& target);
  void Consider(Target& target, const ChunkKey& key);
  void ConsiderBeyond(Target& target, const ChunkKey& key);
  Result Try(Target& target, const ChunkKey& key, const Groups& groups);
  Result TryGroup(Target& target, const ChunkKey& key, const Group& group, bool* absent);
  // What was done with what `source` has, or why nothing. DATA_LOSS: its copy is damaged, too.
  absl::StatusOr<MendAction> TakeFrom(Target& target, const ChunkKey& key, const Group& group,
                                      TargetId source);
  void Note(Target& target, const ChunkKey& key, const Result& result, Attempt& attempt);
  absl::Status Replace(Target& target, const ChunkKey& key, const Group& group, MendAction action,
                       const FetchedChunk& fetched);
  // The groups in which the target is in sync and this chunk may be: one of each storage class,
  // which the store does not know.
  Groups GroupsFor(const ClusterMap& map, TargetId target, const ChunkKey& key) const;

  const Parts parts_;
  const Options options_;
  ByteRate rate_;
  StopFlag stop_;
  net::Interrupt interrupt_;
  // Of the thread only. Bounded by Options::most_attempts.
  absl::flat_hash_map<AttemptId, Attempt> attempts_;
  absl::flat_hash_map<const Target*, Beyond> beyond_;
  std::thread thread_;
};

}  // namespace penstock::chunkserver
