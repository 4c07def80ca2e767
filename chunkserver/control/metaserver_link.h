// MetaserverLink registers this server at the metaserver and sends its heartbeat every second, from
// a thread that takes no lock that is held over a disk or another call. It carries fences and
// orders here, and what was done back. When the metaserver does not know this server any more, it
// registers again.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "chunkserver/control/grpc_calls.h"
#include "chunkserver/control/held_groups.h"
#include "chunkserver/control/order_worker.h"
#include "chunkserver/control/setting_follower.h"
#include "chunkserver/control/target_health.h"
#include "chunkserver/scrub/scrubber.h"
#include "chunkserver/server_identity.h"
#include "chunkserver/service/fence_table.h"
#include "chunkserver/service/serving_lease.h"
#include "chunkserver/stop_flag.h"
#include "chunkserver/sync/group_sync.h"
#include "chunkserver/targets.h"
#include "common/clock.h"
#include "common/cluster_map.h"
#include "common/file.h"
#include "proto/cluster.grpc.pb.h"

namespace penstock::chunkserver {

struct ServerFacts {
  std::string dir;  // of server.json
  std::string hostname;
  std::vector<wire::Address> addresses;
  std::string boot_id;   // of the machine
  std::string instance;  // of this process
  std::string rack;
  std::string version;         // of the program
  absl::Duration fence_after;  // the lease's
  absl::Duration call_timeout = absl::Seconds(2);
};

class MetaserverLink {
 public:
  struct Parts {
    wire::Cluster::StubInterface* stub = nullptr;
    ServerIdentity* identity = nullptr;  // the link's alone after Start()
    Targets* targets = nullptr;
    MapHolder* map = nullptr;
    FenceTable* fences = nullptr;
    OrderWorker* orders = nullptr;
    HealthSampler* health = nullptr;
    FileSystem* fs = nullptr;
    Clock* clock = nullptr;
    const GroupSync* sync = nullptr;      // null: nothing is reported of it
    Scrubber* scrubber = nullptr;         // the same
    ServingLease* lease = nullptr;        // renewed by acknowledged heartbeats
    HeldGroups* held = nullptr;           // null: nothing is reported of it
    SettingFollower* settings = nullptr;  // null: none are taken
  };
  MetaserverLink(ServerFacts facts, Parts parts);  // all parts outlive it
  ~MetaserverLink() { Stop(); }

  // Tries once to register, so that a wrong cluster is seen at the start, then goes on by itself.
  // An error that no later try can mend: FAILED_PRECONDITION. UNAVAILABLE is not one.
  absl::Status Start();
  void Stop();

  bool registered() const { return registered_.load(); }

 private:
  absl::Status Register();
  absl::Status Accept(const wire::RegisterResponse& response);
  absl::Status SendHeartbeat();
  bool ForgetRemoved();  // true: the identity changed
  bool RememberAgain();  // as above
  bool HasMap(uint64_t version) const;
  bool ForgetLostChanges();  // whether the identity has changed
  void RememberFailed();
  void Run();

  const ServerFacts facts_;
  const Parts parts_;
  StopFlag stop_;
  StoppableCalls calls_;
  std::atomic<bool> registered_{false};
  absl::Duration period_ = absl::Seconds(1);  // only the thread uses it, as the next one
  bool unsaved_ = false;                      // a failed target is not in server.json yet
  std::thread thread_;
};

}  // namespace penstock::chunkserver
