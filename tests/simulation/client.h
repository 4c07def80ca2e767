// SimClient is a mounted client of a simulated cluster: it holds a cluster map, writes (again and
// again with the same stamp, until it is answered or gives up), syncs what it wrote, and reads from
// any member in sync: client/chunk_change.cc and chunk_read.cc in small.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "common/status.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/chunk_calls.h"
#include "tests/simulation/chunkserver.h"

namespace penstock::simulation {

class SimClient {
 public:
  struct Parts {
    Timeline* time = nullptr;
    Network* network = nullptr;
    Checks* checks = nullptr;
    SimMetaserver* metaserver = nullptr;
    std::function<SimChunkserver*(uint32_t server_id)> find;  // nullptr: unknown
    std::vector<ChunkKey> keys;
    uint64_t last_session = 0;  // of all clients
    int last_write = 0;
    bool patient = false;  // nobody gives up any more
  };
  SimClient(const Shape& shape, Parts* parts);  // parts outlive it

  void Start();
  NodeId node() const { return node_; }
  SessionId session() const { return session_; }
  // It has written what it had to write, and everything was answered.
  bool done() const { return left_ == 0 && !busy_; }
  void WriteMore(int writes) { left_ += writes; }

 private:
  struct Member {
    TargetId target;
    SimChunkserver* server = nullptr;
    uint32_t epoch = 0;
  };
  void FollowMap();
  std::vector<Member> InSync(const ChunkKey& key) const;  // head to tail
  std::vector<ChunkKey> Keys() const;                     // that still have a file
  void NewSession();
  int64_t Pause();

  void NextWrite();
  void SendWrite();
  void WriteAnswered(const WriteResult& result);
  void EndWrite();

  void BeginSync();
  void SendSync();
  void SyncAnswered(const ChunkKey& key, TargetId target, const absl::Status& status);
  void EndSync(bool well);

  void NextRead();
  void SendRead(const Checks::Before& before, const ChunkKey& key, bool tail);

  const Shape& shape_;
  Parts* const parts_;
  const NodeId node_;
  ClusterMap map_;
  SessionId session_;
  uint64_t sequence_ = 0;
  int left_;  // writes to begin
  bool busy_ = false;
  WriteCall write_;
  int tries_ = 0;
  std::map<ChunkKey, ChunkVersion> unsynced_;  // that writes returned
  struct Sync {
    std::map<ChunkKey, ChunkVersion> versions;
    std::set<std::pair<ChunkKey, TargetId>> done;
    int asked = 0;
    bool failed = false;
    int tries = 0;
  };
  Sync sync_;
};

}  // namespace penstock::simulation
