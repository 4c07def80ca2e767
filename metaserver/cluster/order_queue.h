// OrderQueue holds what chunkservers are to do (DeleteContent, TruncateContent): for each target
// the orders that were not done there yet, resent until they are, ever more rarely. An order for a
// target that is away waits until a server reports the target open again, and is sent to no one
// meanwhile: were it forgotten, the target would bring its dead chunks back for good. (That an
// operator can give a target up belongs to `penstock target remove`, with failure handling.)
// In memory; see ContentDeleter. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>
#include <absl/types/span.h>

#include <functional>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "metaserver/reclaim/cluster_work.h"
#include "proto/cluster.pb.h"

namespace penstock::metaserver {

class OrderQueue : public ContentDeleter {
 public:
  using Done = absl::AnyInvocable<void() &&>;
  // The targets where an order must be done.
  using TargetsOfOrder = std::function<std::vector<TargetId>(const wire::Order&)>;
  // Order ids grow from `first_order_id`, which must differ between two starts of the metaserver,
  // so that a late acknowledgement never meets another order. `clock` must outlive the queue.
  OrderQueue(TargetsOfOrder targets, uint64_t first_order_id, Clock* clock);

  // False when kMaxOrdersUnderWay is reached.
  bool Delete(const wire::DeleteContent& order, Done done) override;
  // Has kMaxOrdersUnderWay for itself: a file waits for it.
  bool Truncate(const wire::TruncateContent& order, Done done) override;
  size_t overdue() const override;

  // For the reply to a heartbeat of the server that has these targets open: orders never sent
  // there, then those sent long ago.
  std::vector<wire::Order> Take(absl::Span<const TargetId> open);
  // The server that has these targets open did the orders on all of them. Unknown ids are ignored.
  void Acknowledge(absl::Span<const TargetId> open, absl::Span<const uint64_t> order_ids);
  // The targets' server started again: it gets everything again at once.
  void Restarted(absl::Span<const TargetId> targets);
  size_t under_way() const;

 private:
  struct Pending {
    wire::Order order;
    absl::flat_hash_set<TargetId> waiting_for;
    absl::Duration since;
    Done done;
  };
  struct Sending {
    absl::Duration due;    // when to send it
    absl::Duration pause;  // then until the next time
  };
  struct Queue {
    absl::flat_hash_map<uint64_t, Sending> orders;
    absl::btree_set<std::pair<absl::Duration, uint64_t>> by_due;
    void Put(uint64_t id, Sending sending);
    bool Erase(uint64_t id);
  };
  bool Add(wire::Order order, Done done);

  const TargetsOfOrder targets_;
  Clock* const clock_;      // not owned
  mutable absl::Mutex mu_;  // not held over `done` or targets_
  uint64_t next_order_id_ ABSL_GUARDED_BY(mu_);
  absl::btree_map<uint64_t, Pending> orders_ ABSL_GUARDED_BY(mu_);
  size_t truncations_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_map<TargetId, Queue> queues_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::metaserver
