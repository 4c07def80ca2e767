// ScrubBoard passes on what operators ask of scrubs (`penstock scrub start`): for each target the
// last order, sent with every heartbeat's answer until its server says that it was taken, and what
// the server last said of it. In memory: an order that nobody took is lost with this process, and
// the one who waits for it is told. A plain value; ClusterState guards it.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <vector>

#include "common/ids.h"
#include "metaserver/cluster/inventory.h"
#include "proto/admin.pb.h"

namespace penstock::metaserver {

class ScrubBoard {
 public:
  // `now_us`: since 1970. Orders grow, also over restarts of this process.
  // NOT_FOUND: no such target. FAILED_PRECONDITION: it is not online.
  absl::StatusOr<wire::StartScrubResponse> Start(const wire::StartScrubRequest& request,
                                                 const Inventory& inventory, uint64_t now_us);
  // What the server's heartbeat says of its targets.
  void Note(ServerId server, const wire::HeartbeatRequest& request, const Inventory& inventory);
  // For the answer.
  std::vector<wire::ScrubOrder> OrdersFor(ServerId server, const Inventory& inventory) const;
  // NOT_FOUND: no such target.
  absl::StatusOr<wire::ListScrubsResponse> List(const wire::ListScrubsRequest& request,
                                                const Inventory& inventory) const;

 private:
  struct Entry {
    wire::ScrubOrder order;
    wire::ScrubProgress progress;
  };
  absl::btree_map<TargetId, Entry> entries_;
  uint64_t last_order_ = 0;
};

}  // namespace penstock::metaserver
