// OrderQueue holds what chunkservers are to do (DeleteContent, TruncateContent): for each server
// the orders that it has not acknowledged, resent until it does. In memory; see ContentDeleter.
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "metaserver/reclaim/cluster_work.h"
#include "proto/cluster.pb.h"

namespace penstock::metaserver {

class OrderQueue : public ContentDeleter {
 public:
  using Done = absl::AnyInvocable<void() &&>;
  // Servers that may hold chunks of a storage class.
  using ServersOfClass = std::function<std::vector<ServerId>(uint32_t storage_class)>;
  // Order ids grow from `first_order_id`, which must differ between two starts of the metaserver,
  // so that a late acknowledgement never meets another order. `clock` must outlive the queue.
  OrderQueue(ServersOfClass servers, uint64_t first_order_id, Clock* clock);

  // False when kMaxOrdersUnderWay is reached.
  bool Delete(const wire::DeleteContent& order, Done done) override;
  bool Truncate(const wire::TruncateContent& order, Done done) override;

  // For a heartbeat reply: orders never sent to this server, or sent long ago.
  std::vector<wire::Order> Take(ServerId server);
  // What a heartbeat says is done; unknown ids are ignored.
  void Acknowledge(ServerId server, const std::vector<uint64_t>& order_ids);
  // A server that started again gets everything again at once.
  void Restarted(ServerId server);
  size_t under_way() const;

 private:
  struct Pending {
    wire::Order order;
    absl::flat_hash_set<ServerId> waiting_for;
    Done done;
  };
  bool Add(wire::Order order, uint32_t storage_class, Done done);

  const ServersOfClass servers_;
  Clock* const clock_;      // not owned
  mutable absl::Mutex mu_;  // not held over `done` or servers_
  uint64_t next_order_id_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint64_t, Pending> orders_ ABSL_GUARDED_BY(mu_);
  // For each server its orders, oldest first, with the time of the last sending.
  absl::flat_hash_map<ServerId, absl::btree_map<uint64_t, absl::Duration>> queues_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::metaserver
