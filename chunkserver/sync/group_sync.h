// GroupSync brings this server's targets in sync: for every group that the map says one of them is
// syncing in, it goes through the chunks (group_pass.h) until a pass leaves nothing undone, makes
// that durable, and says so in every heartbeat until the map knows. A new epoch starts the group
// over; that is cheap, because only versions are compared. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "chunkserver/chain/chunk_locks.h"
#include "chunkserver/chain/peer_clients.h"
#include "chunkserver/stop_flag.h"
#include "chunkserver/sync/adopted_groups.h"
#include "chunkserver/sync/byte_rate.h"
#include "chunkserver/sync/group_pass.h"
#include "chunkserver/targets.h"
#include "common/clock.h"
#include "common/cluster_map.h"
#include "common/net/rpc_client.h"
#include "proto/cluster.pb.h"

namespace penstock::chunkserver {

class GroupSync {
 public:
  struct Parts {
    const MapHolder* map = nullptr;
    const Targets* targets = nullptr;
    PeerClients* peers = nullptr;
    ChunkLocks* locks = nullptr;
    AdoptedGroups* adopted = nullptr;
    Clock* clock = nullptr;
  };
  struct Options {
    uint64_t bytes_per_second = 0;  // of all targets together; 0: as fast as it goes
    int groups_at_once = 2;         // of each target
    absl::Duration first_pause = absl::Milliseconds(200);
    absl::Duration longest_pause = absl::Seconds(10);
  };
  GroupSync(const Parts& parts, const Options& options);  // all parts outlive it
  ~GroupSync();                                           // Stop()

  void Start();
  void Stop();
  void SetRate(uint64_t bytes_per_second) { rate_.Set(bytes_per_second); }

  // For the heartbeat.
  std::vector<wire::SyncedGroup> synced() const;
  std::vector<wire::SyncProgress> progress() const;

 private:
  using WorkId = std::pair<TargetId, GroupId>;
  struct Work {
    uint32_t epoch = 0;
    int copies = 0;  // in sync
    bool running = false;
    bool synced = false;
    int tries = 0;  // of this epoch
    absl::Duration due;
  };
  struct Lane {
    Target* target = nullptr;
    SyncCounters counters;
    std::vector<std::thread> threads;
    bool busy = false;  // said in the log that it is not in sync
  };

  void Run(Lane& lane);
  // Takes over what a newer map says.
  void Refresh() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddGroup(const Group& group, absl::btree_map<WorkId, Work>& next)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::optional<GroupId> TakeDue(TargetId target) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // One try at a group. OK: it is synced as of its `group.epoch`.
  absl::Status SyncGroup(Lane& lane, const Group& group, uint32_t group_count, int tries);
  void Done(Lane& lane, const Group& group, const absl::Status& status);
  void Say(Lane& lane, const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Parts parts_;
  const Options options_;
  ByteRate rate_;
  StopFlag stop_;
  net::Interrupt interrupt_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // of each open target; fixed after the construction

  mutable absl::Mutex mu_;  // never held over disk or network
  absl::btree_map<WorkId, Work> work_ ABSL_GUARDED_BY(mu_);
  uint64_t map_version_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration refreshed_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  absl::Duration logged_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  int failed_ ABSL_GUARDED_BY(mu_) = 0;  // since the last line in the log
};

}  // namespace penstock::chunkserver
