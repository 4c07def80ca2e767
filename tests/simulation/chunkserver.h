// SimChunkserver is one machine with a chunkserver on it: disks that outlive crashes, and a process
// that registers, sends heartbeats, follows the map and carries out what the real rules say: the
// chain's (ChainWrite, chain_rules), those of getting in sync (sync_rules), the lease to serve and
// the fences. What the real process does on disk, network and threads is done here on SimReplica
// and the timeline; each file names the one that it imitates.
//
// Every step takes time, so that anything may come between two of them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "chunkserver/chain/chain_write.h"
#include "chunkserver/service/fence_table.h"
#include "chunkserver/service/serving_lease.h"
#include "chunkserver/sync/sync_rules.h"
#include "proto/cluster.pb.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/chunk_calls.h"
#include "tests/simulation/metaserver.h"

namespace penstock::simulation {

class SimChunkserver {
 public:
  struct Parts {
    Timeline* time = nullptr;
    Network* network = nullptr;
    Checks* checks = nullptr;
    SimMetaserver* metaserver = nullptr;
    std::function<SimChunkserver*(uint32_t server_id)> find;  // nullptr: unknown
    std::vector<ChunkKey> keys;                               // of all chunks that there will be
    double full_disk = 0;                                     // likelihood, of each stage
  };
  SimChunkserver(int number, const Shape& shape, const Parts* parts);  // parts outlive it

  ~SimChunkserver();
  SimChunkserver(const SimChunkserver&) = delete;
  SimChunkserver& operator=(const SimChunkserver&) = delete;

  // The machine.
  NodeId node() const { return node_; }
  bool up() const { return process_ != nullptr; }
  bool lost() const { return lost_; }
  void Start();
  void Crash();       // kill -9; comes back by itself
  void CutPower();    // the machine, which comes back as another boot
  void Lose();        // it never comes back
  void FailDisk();    // one of them syncs nothing any more, and says so
  void RepairDisk();  // and the process starts anew
  bool disk_failed() const { return disks_.front().failed; }
  void DelayMaps(int64_t for_ms) { maps_after_ms_ = parts_->time->now_ms() + for_ms; }
  uint32_t server_id() const { return server_id_; }
  // nullptr replica: the target is not here.
  Checks::Copy CopyOf(TargetId target);
  std::vector<TargetId> targets() const;
  bool AnyPending();

  // Calls that arrive.
  void Write(const WriteCall& call, Reply<WriteResult> reply);
  void Read(const ReadCall& call, const Reply<ReadResult>& reply);
  void Sync(const SyncCall& call, const Reply<absl::Status>& reply);
  void Fetch(const FetchCall& call, const Reply<FetchResult>& reply);

 private:
  struct Disk {
    std::string uuid;
    TargetId id;
    SimReplica replica;
    bool failed = false;
    bool lost_changes = false;  // it has failed, and the metaserver does not know what it lost
  };
  struct Process;
  struct Task;
  struct Pass;
  struct Target;
  using ProcessPtr = std::shared_ptr<Process>;
  using TaskPtr = std::shared_ptr<Task>;
  using PassPtr = std::shared_ptr<Pass>;
  struct Found {
    Target* target = nullptr;
    const Group* group = nullptr;
    chunkserver::MemberView view;
  };

  void End();  // of the process
  void Forget();
  // In the present process, or not at all.
  void In(int64_t delay_ms, std::function<void()> what);
  bool Breaks(Broken rule) const { return shape_.broken == rule; }
  int64_t Pick(int64_t low, int64_t high) { return parts_->time->Pick(low, high); }
  void Trace(const std::string& line);
  void StartIn(int64_t delay_ms);
  void Barriers();

  // chunkserver_link.cc
  void Register();
  void Accept(const wire::RegisterResponse& response);
  void SendHeartbeat();
  wire::HeartbeatRequest MakeHeartbeat() const;
  void TakeHeartbeat(const wire::HeartbeatResponse& response, absl::Duration sent,
                     const std::vector<uint64_t>& reported);
  void FollowMap();
  void Apply(const wire::ClusterMap& update);
  void RenewLease();

  // chunkserver_orders.cc
  void TakeOrders(const wire::HeartbeatResponse& response, const std::vector<uint64_t>& reported);
  void Execute(const wire::Order& order);
  void DropGroup(const wire::Order& order, std::vector<ChunkKey> keys);
  absl::Status CheckMayDrop(const wire::DropGroup& order) const;
  void DeleteContent(const wire::Order& order, std::vector<std::pair<Target*, ChunkKey>> chunks);
  bool IsSettled(const wire::DeleteContent& order) const;
  void DropChunk(Target& target, const ChunkKey& key);

  // chunkserver_serve.cc
  absl::Status TooEarly() const;
  absl::Status MayServe() const;
  Target* Find(TargetId target);
  absl::StatusOr<Found> FindChunk(TargetId target, const ChunkKey& key, uint32_t epoch);
  void FinishRead(const ReadCall& call, const Reply<ReadResult>& reply);
  absl::Status CheckHas(Target& target, const SyncCall& call) const;

  // chunkserver_chain.cc
  chunkserver::MemberView View(const Target& target, const ChunkKey& key) const;
  const Group& GroupOf(const ChunkKey& key) const;
  void Queue(Target& target, TaskPtr task);
  // Runs `hold` with the chunk's place, until Leave().
  void Hold(Target& target, const ChunkKey& key, std::function<void()> hold);
  void Leave(Target& target, const ChunkKey& key);
  void Pump(Target& target, const ChunkKey& key);
  void TakeStep(const TaskPtr& task);
  void DoStep(Task& task);
  void Stage(Task& task);
  void TraceStep(const Task& task, chunkserver::ChainStep::Kind done, ChunkVersion version);
  void SendForward(const TaskPtr& task);
  WriteCall MakeForward(const Task& task) const;
  void Finish(const TaskPtr& task);
  void Settle(Target& target, const ChunkKey& key, std::function<void(absl::Status)> done);
  void Note(Target& target, const ChunkKey& key);

  // chunkserver_sync.cc
  void BeginSync();
  void SyncGroup(Target& target, GroupId group);
  bool GoesOn(const Pass& pass) const;
  void EndPass(const PassPtr& pass, bool well);
  void ListSource(const PassPtr& pass);
  void NextChunk(const PassPtr& pass);
  void Examine(const PassPtr& pass);
  void Conclude(const PassPtr& pass, const SimReplica::Chunk& source);
  void DiscardNext(const PassPtr& pass);
  void AskSource(const PassPtr& pass, const std::vector<ChunkKey>& keys,
                 std::function<void(FetchResult)> done);
  void NoteAbsent(const Pass& pass, const ChunkKey& key, const SimReplica::Chunk& source);

  const int number_;
  const Shape& shape_;
  const Parts* const parts_;
  const NodeId node_;
  std::deque<Disk> disks_;  // survive everything, as the next ones
  uint32_t server_id_ = 0;
  int boot_ = 1;
  int instance_ = 0;
  bool lost_power_ = false;  // and the metaserver has not heard of it yet
  bool lost_ = false;
  int start_ = 0;              // the last one that is due
  int64_t maps_after_ms_ = 0;  // news of the map comes late
  ProcessPtr process_;         // nullptr: none runs
};

}  // namespace penstock::simulation
