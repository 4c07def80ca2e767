// OrderQueue holds what chunkservers are to do (DeleteContent, TruncateContent, DropGroup): for
// each target the orders that were not done there yet, resent until they are, ever more rarely. An
// order for a target that is away waits until a server reports the target open again, and is sent
// to no one meanwhile: were it forgotten, the target would bring its dead chunks back for good.
//
// What an order means depends on the members of its groups, so Revise() is told of every change
// before anybody hears of it: who is no longer concerned is not waited for, and who has to do it
// (again) is asked under a new id, once its server has taken that map. An acknowledgement counts
// from the id on that was valid when the target was asked, so that one under way, of work done by
// the old map, is not taken for the new work. In memory; see ContentDeleter. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/functional/function_ref.h>
#include <absl/synchronization/mutex.h>
#include <absl/types/span.h>

#include <array>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "metaserver/cluster/order_targets.h"
#include "metaserver/reclaim/cluster_work.h"
#include "proto/cluster.pb.h"

namespace penstock::metaserver {

class OrderQueue : public ContentDeleter {
 public:
  using Done = absl::AnyInvocable<void() &&>;
  // The targets where an order must be done, and the version of the map that says so.
  struct Asked {
    std::vector<TargetId> targets;
    uint64_t map_version = 0;
    bool later = false;  // it is not known yet: nothing can be ordered
  };
  using TargetsOfOrder = std::function<Asked(const wire::Order&)>;
  // Order ids grow from `first_order_id`, which must differ between two starts of the metaserver,
  // so that a late acknowledgement never meets another order. `clock` must outlive the queue.
  OrderQueue(TargetsOfOrder targets, uint64_t first_order_id, Clock* clock);

  // False when kMaxOrdersUnderWay is reached (each kind has that for itself), or for `later`.
  bool Delete(const wire::DeleteContent& order, Done done) override;
  bool Truncate(const wire::TruncateContent& order, Done done) override;
  // Withdrawn without `done` by a revision.
  bool Drop(const wire::DropGroup& order, Done done);
  size_t overdue() const override;

  // Groups have other members, in the map of this version, which nobody has seen yet. `revise` is
  // called for every order, without a lock.
  void Revise(uint64_t map_version,
              absl::FunctionRef<OrderRevision(const wire::Order& order)> revise);

  // For the reply to a heartbeat of the server that has these targets open and has taken this map:
  // orders never sent there, then those sent long ago.
  std::vector<wire::Order> Take(absl::Span<const TargetId> open, uint64_t map_version);
  // The server that has these targets open did the orders on all of them. Unknown ids are ignored.
  void Acknowledge(absl::Span<const TargetId> open, absl::Span<const uint64_t> order_ids);
  // The targets' server started again: it gets everything again at once.
  void Restarted(absl::Span<const TargetId> targets);
  size_t under_way() const;

 private:
  static constexpr size_t kIdsKept = 8;  // an acknowledgement of an older one is asked for again
  using Key = uint64_t;                  // the order's first id
  struct Pending {
    wire::Order order;                                    // with its newest id
    std::deque<uint64_t> ids;                             // all that may be acknowledged
    absl::flat_hash_map<TargetId, uint64_t> waiting_for;  // and the first id that counts there
    uint64_t map_version = 0;                             // servers that know less do not get it
    absl::Duration since;
    Done done;
  };
  struct Sending {
    absl::Duration due;    // when to send it
    absl::Duration pause;  // then until the next time
  };
  struct Queue {
    absl::flat_hash_map<Key, Sending> orders;
    absl::btree_set<std::pair<absl::Duration, Key>> by_due;
    void Put(Key key, Sending sending);
    bool Erase(Key key);
  };
  bool Add(wire::Order order, Done done);
  void Forget(Key key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes `done` out of an order that waits for nobody.
  void FinishIfDone(Key key, std::vector<Done>& finished) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AskAgain(Key key, Pending& pending, const OrderRevision& revision, uint64_t map_version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const TargetsOfOrder targets_;
  Clock* const clock_;      // not owned
  mutable absl::Mutex mu_;  // not held over `done`, targets_ or `revise`
  uint64_t next_order_id_ ABSL_GUARDED_BY(mu_);
  uint64_t revised_ ABSL_GUARDED_BY(mu_) = 0;  // map version of the last revision
  absl::btree_map<Key, Pending> orders_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint64_t, Key> key_of_id_ ABSL_GUARDED_BY(mu_);
  std::array<size_t, 5> count_ ABSL_GUARDED_BY(mu_) = {};  // by wire::Order::KindCase
  absl::flat_hash_map<TargetId, Queue> queues_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::metaserver
