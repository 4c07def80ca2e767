// A whole chain in one thread: members that run the rules of chunkserver/chain on replicas in
// memory, clients that write, repeat, give up and read, a network that delays, loses, doubles and
// reorders, crashes, and new epochs that take members out. One seed replays everything.
//
// What holds at every moment, or Run() answers with the first thing that did not:
//   - a version is one write and one content, on every member, for ever;
//   - each content is the one before it plus exactly one write (or nothing, after a deletion): no
//     committed write is lost, applied twice or moved;
//   - an acknowledged write is committed on every in-sync member;
//   - reads give committed contents and never go back in time, unless all members lost power;
//   - what all members had synced is never lost.
// And at the end, with everybody back and the network whole: every client is answered, nothing is
// pending, all members are in sync and equal.
//
// Members that were taken out come back as syncing, with whatever they had; power cuts take chunks
// back to the last barrier. They get in sync as chunkserver/sync does it (simulator_sync.cc), under
// the metaserver's rules of membership in small (simulator_members.cc).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "chunkserver/chain/chain_write.h"
#include "chunkserver/sync/sync_rules.h"
#include "common/clock.h"
#include "tests/chunkserver/chain/sim_replica.h"

namespace penstock::chunkserver {

class Simulator {
 public:
  struct Options {
    int members = 3;
    int clients = 3;
    int chunks = 2;
    int writes_per_client = 12;
    double loss = 0.05;
    double doubling = 0.05;
    double long_delay = 0.05;  // beyond every timeout
    double full_disk = 0.02;   // of each stage
    double crash = 0.01;       // of each tick
    double new_epoch = 0.004;  // of each tick
    double power_cut = 0;      // of each tick and member
    double blackout = 0;       // of each tick: all lose power
    bool returning = false;    // members that were taken out come back
  };
  Simulator(uint64_t seed, Options options);

  // Empty: all held. Else what did not, with the time.
  std::string Run();
  int acknowledged() const { return acknowledged_; }
  int served_reads() const { return served_reads_; }
  int repairs() const { return repairs_; }

 private:
  class SimClock : public Clock {
   public:
    absl::Time Now() override { return absl::UnixEpoch() + now; }
    absl::Duration SinceBoot() override { return now; }
    absl::Duration now;
  };
  struct Forward {
    ChunkKey key;
    ChainRequest request;
    SimChange change;
  };
  using Answer = std::function<void(absl::Status, ChunkVersion)>;
  // One write under way at a member.
  struct Task {
    Forward forward;
    std::unique_ptr<ChainWrite> write;
    std::function<void()> hold;  // instead of a write: has the chunk's place until Leave()
    ChainStep step;
    Answer answer;
    bool begun = false;
  };
  struct Member {
    TargetId id;
    bool alive = true;
    bool removed = false;
    int incarnation = 0;
    Group group;  // as it knows it
    SimReplica replica;
    std::unique_ptr<ChunkMemory> memory;
    std::map<ChunkKey, std::deque<std::shared_ptr<Task>>> queues;  // the front one runs
    bool lost_power = false;  // and has not told the metaserver yet
    bool syncing = false;     // a pass is under way
    int sync_tries = 0;
    uint32_t synced_epoch = 0;
    uint32_t adopted_epoch = 0;
  };
  // One pass of a member through its group (chunkserver/sync/group_pass.h).
  struct Pass {
    Member* member = nullptr;
    int incarnation = 0;
    Group group;
    SyncPass rules;
    std::deque<TargetId> sources;  // the first is being asked
    std::vector<SimReplica::Chunk> listed;
    size_t at = 0;  // chunk
    bool again = false;
  };
  using PassPtr = std::shared_ptr<Pass>;
  using SourceAnswer = std::function<void(std::optional<std::vector<SimReplica::Chunk>>)>;
  struct Client {
    int number = 0;
    Group group;
    int written = 0;
    uint64_t sequence = 0;
    bool busy = false;
    int attempt = 0;  // grows with every send: older answers are ignored
    int tries = 0;
    Forward forward;
  };
  struct Event {
    int64_t at;
    uint64_t order;
    std::function<void()> what;
    bool operator>(const Event& other) const {
      return std::tie(at, order) > std::tie(other.at, other.order);
    }
  };

  bool Chance(double probability);
  int64_t Pick(int64_t low, int64_t high);  // inclusive
  void At(int64_t delay, std::function<void()> what);
  void Fail(const std::string& what);

  // Members.
  void Deliver(Member& member, Forward forward, Answer answer);
  void Pump(Member& member, const ChunkKey& key);
  void TakeStep(Member& member, int incarnation, const ChunkKey& key, std::shared_ptr<Task> task);
  void DoStep(Member& member, Task& task);
  void SendForward(Member& member, const ChunkKey& key, std::shared_ptr<Task> task);
  Forward MakeForward(Member& member, const Task& task);
  void Finish(Member& member, const ChunkKey& key, std::shared_ptr<Task> task);
  void Settle(Member& member, const ChunkKey& key);
  void Crash(Member& member, bool loses_power = false);
  void Start(Member& member);
  void TellMember(Member& member, const Group& group);
  Member& Of(TargetId id) { return members_[id.value() - 1]; }

  // Getting in sync.
  void BeginSync(Member& member);
  bool GoesOn(const Pass& pass) const;
  void EndPass(const PassPtr& pass, bool well);
  void ListSource(const PassPtr& pass);
  void NextChunk(const PassPtr& pass);
  void Examine(const PassPtr& pass);
  void DiscardNext(const PassPtr& pass);
  void Conclude(const PassPtr& pass, const SimReplica::Chunk& source);
  void AskSource(const PassPtr& pass, std::vector<ChunkKey> keys, SourceAnswer answer);
  // Runs `hold` with the chunk's place; it ends with Leave().
  void Hold(const PassPtr& pass, const ChunkKey& key, std::function<void()> hold);
  void Leave(const PassPtr& pass, const ChunkKey& key);
  // Absent on both sides: here it is so as of the source's deletion.
  void NoteAbsent(const PassPtr& pass, const ChunkKey& key, const SimReplica::Chunk& source);
  static SourceChunk SourceOf(const SimReplica::Chunk& chunk);

  // The metaserver.
  void NewGroup(Group next);
  bool HasOtherInSync(TargetId target);
  void RemoveMember(TargetId target);
  void AddMember(TargetId target);
  void Rebooted(TargetId target);
  void Synced(TargetId target, uint32_t epoch);
  void Reconciled();
  void Confirm();
  void WatchMembers();  // every now and then until all are in sync
  void SyncFile();      // an fsync of one chunk
  // Network: `deliver` runs at the member unless its process is another one by then.
  void Send(Member& to, Forward forward, std::function<void(absl::Status, ChunkVersion)> reply);

  // Clients and world.
  void StartWrite(Client& client);
  void SendWrite(Client& client);
  void OnWriteAnswer(Client& client, int attempt, const absl::Status& status);
  void Read(Client& client);
  void Tick();
  void BeginEpoch();
  void CutPower();
  void Calm();

  // Checks.
  void CheckCommit(Member& member, const ChunkKey& key);
  void CheckAcknowledged(const ChunkKey& key, ChunkVersion version);
  void CheckEnd();
  void CheckSynced(const ChunkKey& key, ChunkVersion has, const std::string& who);

  const Options options_;
  std::mt19937_64 random_;
  SimClock clock_;
  int64_t now_ = 0;
  uint64_t order_ = 0;
  bool calm_ = false;
  const bool trace_ = std::getenv("PENSTOCK_TEST_TRACE") != nullptr;
  bool memory_lost_ = false;  // a process died
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::deque<Member> members_;
  std::deque<Client> clients_;
  Group group_;  // the newest
  int64_t epoch_begun_ = 0;
  std::set<TargetId> basis_;       // as in metaserver/cluster/member_table.h
  std::set<TargetId> reconciled_;  // of the basis, in this epoch
  uint32_t exchanged_epoch_ = 0;   // in which all had last lost power and came to terms
  std::vector<ChunkKey> keys_;
  int next_write_ = 1;
  int acknowledged_ = 0;
  int served_reads_ = 0;
  std::string failure_;
  struct History {
    SimBytes bytes;
    bool deleted = false;
  };
  std::map<ChunkKey, std::map<ChunkVersion, History>> history_;
  std::map<ChunkKey, ChunkVersion> seen_;    // newest that a reader or writer was told of
  std::map<ChunkKey, ChunkVersion> synced_;  // newest that an fsync was answered for
  int repairs_ = 0;
};

}  // namespace penstock::chunkserver
