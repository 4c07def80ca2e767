// What a process of a SimChunkserver remembers and loses when it ends. Only for chunkserver_*.cc.
#pragma once

#include "tests/simulation/chunkserver.h"

namespace penstock::simulation {

// One write under way at a member, or one that holds a chunk's place (chain/chunk_locks.h).
struct SimChunkserver::Task {
  std::shared_ptr<Process> process;  // first: it outlives the pass
  Target* target = nullptr;
  WriteCall call;
  std::unique_ptr<chunkserver::ChainWrite> write;
  std::function<void()> hold;  // instead of a write
  chunkserver::FenceTable::Pass pass;
  uint64_t term = 0;  // of the lease, when it came
  chunkserver::ChainStep step;
  Reply<WriteResult> reply;
  bool begun = false;
  bool at_head() const { return call.request.hop == 0 && !call.request.settle_only; }
};

struct SimChunkserver::Target {
  explicit Target(Disk* the_disk, Clock* clock) : disk(the_disk), memory(clock) {}

  struct SyncWork {
    uint32_t epoch = 0;
    bool running = false;
    bool synced = false;
    size_t tries = 0;
  };
  Disk* const disk;
  chunkserver::ChunkMemory memory;
  std::map<ChunkKey, std::deque<TaskPtr>> queues;  // the front one runs
  std::map<GroupId, SyncWork> sync;
  std::map<GroupId, uint32_t> adopted;  // sync/adopted_groups.h
  std::set<ChunkKey> noted;             // chain/pending_settler.h
};

// One pass of a target through its group (sync/group_pass.h).
struct SimChunkserver::Pass {
  Target* target = nullptr;
  Group group;
  chunkserver::SyncPass rules;
  std::deque<TargetId> sources;  // the first is being asked
  std::vector<ChunkKey> keys;
  std::vector<SimReplica::Chunk> listed;
  size_t at = 0;  // chunk
  bool again = false;
};

struct SimChunkserver::Process {
  explicit Process(Clock* clock) : lease(clock, absl::Milliseconds(kFenceAfterMs)) {}

  std::string instance;
  bool registered = false;
  ClusterMap map;
  bool ask_whole_map = false;
  uint64_t promised_map = 0;            // the last heartbeat's answer named it
  std::optional<absl::Duration> renew;  // the lease, as of then, once that map is here
  chunkserver::FenceTable fences;
  chunkserver::ServingLease lease;
  std::set<uint64_t> running_orders;
  std::set<uint64_t> done_orders;
  std::deque<Target> targets;  // of the disks, in their order
};

}  // namespace penstock::simulation
