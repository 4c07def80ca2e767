// Checks is what nobody in a simulated cluster can know: all that was ever written, shown to
// somebody or synced, and what the metaserver's store says of the groups. It holds the cluster to
// its promises; the first broken one is failure().
//
//   - a version is one write and one content, on every member, for ever;
//   - each content is the one before it plus exactly one write (or nothing, after a deletion): no
//     committed write is lost, applied twice or moved;
//   - an acknowledged write is committed on every in-sync member, also on those to come;
//   - in an epoch of a group one target alone accepts writes as its head;
//   - a read gives a committed content, none older than what anybody had seen before it began,
//     unless all members lost power meanwhile;
//   - what an fsync was answered for is never lost;
//   - a fenced session's writes are accepted by nobody.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/cluster_map.h"
#include "tests/simulation/sim_replica.h"
#include "tests/simulation/timeline.h"

namespace penstock::simulation {

using chunkserver::SimBytes;
using chunkserver::SimReplica;

class Checks {
 public:
  // `time` outlives it.
  explicit Checks(Timeline* time) : time_(time) {}

  // A copy on disk, as a check looks at it.
  struct Copy {
    SimReplica* replica = nullptr;
    bool lost_power = false;  // and the metaserver has not heard of it yet
  };
  // nullptr replica: there is no such target.
  void SetCopies(std::function<Copy(TargetId)> copies) { copy_of_ = std::move(copies); }
  void SetKeys(std::vector<ChunkKey> keys) { keys_ = std::move(keys); }

  void Fail(const std::string& what);
  const std::string& failure() const { return failure_; }

  // The map as the metaserver's store has it.
  void MapChanged(const ClusterMap& map);
  const ClusterMap& map() const { return map_; }
  const Group* GroupOf(const ChunkKey& key) const { return map_.GroupOf(1, key.position); }

  // Members.
  void HeadAccepts(GroupId group, uint32_t epoch, TargetId head, SessionId session);
  void Committed(TargetId target, const Group& as_seen, const ChunkKey& key);
  void Discarded(TargetId target, const Group& as_seen, const ChunkKey& key, ChunkVersion version);
  void MemoryLost() { memory_lost_ = true; }

  // Clients. A token of what was known when a read began.
  struct Before {
    ChunkVersion seen;
    int losses = 0;
  };
  Before ReadBegins(const ChunkKey& key);
  void ReadEnds(const Before& before, const ChunkKey& key, const SimReplica::Chunk& chunk);
  void Acknowledged(const ChunkKey& key, ChunkVersion version);
  void Synced(const ChunkKey& key, ChunkVersion version);

  void Fenced(SessionId session) { fenced_.insert(session); }
  // From now on nobody asks for the content, and nothing is checked of it until it is gone.
  void Unlinked(ContentId content) { unlinked_.insert(content); }
  bool IsUnlinked(ContentId content) const { return unlinked_.contains(content); }

  // Everybody is back and at rest: members are equal and have all that was seen.
  void AtTheEnd();

  struct Counts {
    int64_t acknowledged = 0;
    int64_t synced = 0;
    int64_t reads = 0;
    int64_t repairs = 0;    // members that came to be in sync
    int64_t exchanges = 0;  // groups in which all had lost power
    int64_t epochs = 0;
  };
  const Counts& counts() const { return counts_; }
  Counts& counts() { return counts_; }

 private:
  struct Content {
    SimBytes bytes;
    bool deleted = false;
    bool given_up = false;  // no disk had survived with it
  };
  using History = std::map<ChunkVersion, Content>;
  void GroupChanged(const Group& before, const Group& now);
  void Exchanged(const Group& before);
  void ExchangedChunk(const Group& before, const ChunkKey& key);
  void CheckInSync(const Group& group, const ChunkKey& key);
  void CheckNew(History& history, History::iterator it);
  void CheckSynced(const ChunkKey& key, ChunkVersion has, const std::string& who);
  void CheckEqual(const ChunkKey& key, const Group& group);

  Timeline* const time_;
  std::function<Copy(TargetId)> copy_of_;
  std::vector<ChunkKey> keys_;
  ClusterMap map_;
  std::string failure_;
  std::map<ChunkKey, History> history_;
  std::map<ChunkKey, ChunkVersion> seen_;          // newest that a reader or writer was told of
  std::map<ChunkKey, ChunkVersion> acknowledged_;  // newest
  std::map<ChunkKey, ChunkVersion> synced_;        // newest that an fsync was answered for
  std::map<GroupId, uint32_t> exchanged_;  // epoch in which all had last lost power, and agreed
  std::map<GroupId, int> losses_;          // how often that happened
  std::map<std::pair<GroupId, uint32_t>, TargetId> heads_;  // by epoch
  std::set<SessionId> fenced_;
  std::set<ContentId> unlinked_;
  bool memory_lost_ = false;  // a process died
  Counts counts_;
};

}  // namespace penstock::simulation
