// Simulation is one cluster in one thread: the real metaserver's ClusterState, chunkservers that
// run the real rules on disks in memory, clients, and an adversary. For a while it makes trouble;
// then everybody is well again, and within a bounded time everything must be at rest. One seed
// replays everything.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/checks.h"
#include "tests/simulation/chunkserver.h"
#include "tests/simulation/client.h"
#include "tests/simulation/metaserver.h"
#include "tests/simulation/network.h"
#include "tests/simulation/shape.h"

namespace penstock::simulation {

class Simulation {
 public:
  // `store` is emptied, and outlives it.
  Simulation(uint64_t seed, const Shape& shape, metaserver::MetaStore* store);

  // Empty: all held. Else what did not, with the time.
  std::string Run();
  const Checks::Counts& counts() const { return checks_.counts(); }
  int metaserver_starts() const { return metaserver_.starts(); }
  const Timeline& time() const { return time_; }
  // Chunks of deleted contents that some target still has at the end.
  int left_behind() const { return left_behind_; }

 private:
  SimChunkserver* Find(uint32_t server_id);
  Checks::Copy CopyOf(TargetId target);

  // The adversary (adversary.cc).
  bool Befalls(double per_second);
  void MakeTrouble();
  void TroubleServer(SimChunkserver& server);
  void TroubleMetaserver();
  void CutSomething();
  void Operate();
  void Unlink();
  void Heal();

  // The end.
  void RunUntilRest(int64_t within_ms);
  void UndrainAll();
  std::string Unrest();  // empty: all is at rest
  std::string UnrestOf(SimChunkserver& server);
  void LoseMachine();
  void CountLeftBehind();

  const Shape shape_;
  Timeline time_;
  Network network_;
  Checks checks_;
  SimMetaserver metaserver_;
  std::vector<FileLayout> contents_;
  SimChunkserver::Parts server_parts_;
  std::deque<SimChunkserver> servers_;
  SimClient::Parts client_parts_;
  std::deque<SimClient> clients_;
  bool calm_ = false;
  bool undrained_ = false;
  int left_behind_ = 0;
};

}  // namespace penstock::simulation
