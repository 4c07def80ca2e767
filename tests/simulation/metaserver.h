// SimMetaserver runs the real ClusterState (metaserver/cluster) as a process of a simulated
// cluster: it answers registrations, heartbeats and questions for the map, ticks, crashes, and
// starts again from its store.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "metaserver/cluster/cluster_state.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/network.h"
#include "tests/simulation/shape.h"
#include "tests/simulation/sim_log.h"

namespace penstock::simulation {

class SimMetaserver {
 public:
  struct Parts {
    Timeline* time = nullptr;
    Network* network = nullptr;
    Checks* checks = nullptr;
    metaserver::MetaStore* store = nullptr;  // empty at first
  };
  SimMetaserver(const Shape& shape, Parts parts);  // all parts outlive it

  NodeId node() const { return node_; }
  bool up() const { return state_ != nullptr; }
  metaserver::ClusterState& state() { return *state_; }
  SimLog& log() { return log_; }
  int starts() const { return starts_; }

  void Start();
  void Crash();  // and starts again some time later
  // After anything that may have changed the map: tells the checks and those that wait.
  void Look();

  // As calls that arrive.
  void Register(const wire::RegisterRequest& request,
                Reply<absl::StatusOr<wire::RegisterResponse>> reply);
  void Heartbeat(const wire::HeartbeatRequest& request, Reply<wire::HeartbeatResponse> reply);
  // Answers when the map is newer than `known`, at the latest after `wait_ms`.
  void GetMap(uint64_t known, int64_t wait_ms, const Reply<wire::ClusterMap>& reply);

  // The session's rights end; goes on over restarts. Checks hear when everybody has confirmed it.
  void Fence(SessionId session);
  // The content is deleted everywhere; goes on over restarts.
  void Delete(const FileLayout& layout, uint64_t chunk_count);

  // Empty: every group has its members, all of them in sync, and nothing is left to do.
  std::string Unrest() const;

 private:
  struct Waiter {
    uint64_t known = 0;
    Reply<wire::ClusterMap> reply;
  };
  struct Deletion {
    FileLayout layout;
    uint64_t chunk_count = 0;
  };
  void Tick();
  void AskFence(SessionId session);
  void AskDelete(ContentId content);

  const Parts parts_;
  const NodeId node_;
  metaserver::ClusterOptions options_;
  SimLog log_;
  std::unique_ptr<metaserver::ClusterState> state_;
  int starts_ = 0;
  int64_t ticked_ms_ = 0;
  uint64_t looked_at_ = 0;  // map version
  std::map<int, Waiter> waiters_;
  int last_waiter_ = 0;
  std::set<SessionId> to_fence_;
  std::map<ContentId, Deletion> to_delete_;
};

}  // namespace penstock::simulation
