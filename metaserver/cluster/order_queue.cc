#include "metaserver/cluster/order_queue.h"

#include <algorithm>

#include "metaserver/cluster/cluster_options.h"

namespace penstock::metaserver {

void OrderQueue::Queue::Put(Key key, Sending sending) {
  Erase(key);
  orders[key] = sending;
  by_due.emplace(sending.due, key);
}

bool OrderQueue::Queue::Erase(Key key) {
  auto it = orders.find(key);
  if (it == orders.end()) return false;
  by_due.erase({it->second.due, key});
  orders.erase(it);
  return true;
}

OrderQueue::OrderQueue(TargetsOfOrder targets, uint64_t first_order_id, Clock* clock)
    : targets_(std::move(targets)), clock_(clock), next_order_id_(first_order_id) {}

bool OrderQueue::Delete(const wire::DeleteContent& order, Done done) {
  wire::Order numbered;
  *numbered.mutable_delete_content() = order;
  return Add(std::move(numbered), std::move(done));
}

bool OrderQueue::Truncate(const wire::TruncateContent& order, Done done) {
  wire::Order numbered;
  *numbered.mutable_truncate_content() = order;
  return Add(std::move(numbered), std::move(done));
}

bool OrderQueue::Drop(const wire::DropGroup& order, Done done) {
  wire::Order numbered;
  *numbered.mutable_drop_group() = order;
  return Add(std::move(numbered), std::move(done));
}

bool OrderQueue::Add(wire::Order order, Done done) {
  for (;;) {
    const Asked asked = targets_(order);
    if (asked.later) return false;
    if (asked.targets.empty()) {
      // No chunk to drop or cut, or a class without groups: nothing was ever written in it.
      std::move(done)();
      return true;
    }
    absl::MutexLock lock(&mu_);
    if (asked.map_version < revised_) continue;  // members changed between the two locks
    size_t& like_it = count_[order.kind_case()];
    if (like_it >= kMaxOrdersUnderWay) return false;
    ++like_it;
    const Key key = next_order_id_++;
    order.set_order_id(key);
    Pending& pending = orders_[key];
    pending.order = std::move(order);
    pending.ids = {key};
    key_of_id_[key] = key;
    // Chunks of a dead content are dropped whatever the map says; the others go by it.
    pending.map_version = pending.order.has_delete_content() ? 0 : asked.map_version;
    pending.since = clock_->SinceBoot();
    pending.done = std::move(done);
    for (TargetId target : asked.targets) {
      pending.waiting_for[target] = key;
      queues_[target].Put(key, {-absl::InfiniteDuration(), kOrderResendAfter});
    }
    return true;
  }
}

void OrderQueue::Revise(uint64_t map_version,
                        absl::FunctionRef<OrderRevision(const wire::Order& order)> revise) {
  std::vector<std::pair<Key, wire::Order>> orders;
  {
    absl::MutexLock lock(&mu_);
    revised_ = std::max(revised_, map_version);
    for (const auto& [key, pending] : orders_) orders.emplace_back(key, pending.order);
  }
  std::vector<Done> finished;
  std::vector<Done> withdrawn;  // not called; destroyed without the lock
  for (const auto& [key, order] : orders) {
    const OrderRevision revision = revise(order);
    if (!revision.touched) continue;
    absl::MutexLock lock(&mu_);
    auto found = orders_.find(key);
    if (found == orders_.end()) continue;  // done meanwhile, by the old map that was valid then
    if (revision.withdrawn) {
      withdrawn.push_back(std::move(found->second.done));
      Forget(key);
      continue;
    }
    AskAgain(key, found->second, revision, map_version);
    FinishIfDone(key, finished);
  }
  for (Done& done : finished) std::move(done)();
}

void OrderQueue::AskAgain(Key key, Pending& pending, const OrderRevision& revision,
                          uint64_t map_version) {
  if (!revision.again.empty()) {
    const uint64_t id = next_order_id_++;
    pending.order.set_order_id(id);
    pending.ids.push_back(id);
    key_of_id_[id] = key;
    if (pending.ids.size() > kIdsKept) {
      key_of_id_.erase(pending.ids.front());
      pending.ids.pop_front();
    }
    pending.map_version = map_version;
    for (TargetId target : revision.again) {
      pending.waiting_for[target] = id;
      queues_[target].Put(key, {-absl::InfiniteDuration(), kOrderResendAfter});
    }
  }
  std::vector<TargetId> gone;
  for (const auto& [target, id] : pending.waiting_for) {
    if (!std::binary_search(revision.targets.begin(), revision.targets.end(), target)) {
      gone.push_back(target);
    }
  }
  for (TargetId target : gone) {
    pending.waiting_for.erase(target);
    queues_.at(target).Erase(key);
  }
}

void OrderQueue::Forget(Key key) {
  auto found = orders_.find(key);
  Pending& pending = found->second;
  for (const auto& [target, id] : pending.waiting_for) queues_.at(target).Erase(key);
  for (uint64_t id : pending.ids) key_of_id_.erase(id);
  --count_[pending.order.kind_case()];
  orders_.erase(found);
}

void OrderQueue::FinishIfDone(Key key, std::vector<Done>& finished) {
  Pending& pending = orders_.at(key);
  if (!pending.waiting_for.empty()) return;
  finished.push_back(std::move(pending.done));
  Forget(key);
}

std::vector<wire::Order> OrderQueue::Take(absl::Span<const TargetId> open, uint64_t map_version) {
  std::vector<wire::Order> orders;
  absl::flat_hash_set<Key> taken;  // one order may be for several targets of the server
  absl::MutexLock lock(&mu_);
  const absl::Duration now = clock_->SinceBoot();
  for (TargetId target : open) {
    auto found = queues_.find(target);
    if (found == queues_.end()) continue;
    Queue& queue = found->second;
    std::vector<Key> due;
    for (const auto& [at, key] : queue.by_due) {
      if (at > now) break;
      const Pending& pending = orders_.at(key);
      if (pending.map_version > map_version) continue;
      if (!taken.contains(key)) {
        if (orders.size() >= kMaxOrdersPerHeartbeat) break;
        taken.insert(key);
        orders.push_back(pending.order);
      }
      due.push_back(key);
    }
    for (Key key : due) {
      const absl::Duration pause = queue.orders.at(key).pause;
      queue.Put(key, {now + pause, std::min(pause * 2, kOrderResendAtLeastEvery)});
    }
  }
  return orders;
}

void OrderQueue::Acknowledge(absl::Span<const TargetId> open, absl::Span<const uint64_t> ids) {
  std::vector<Done> finished;
  {
    absl::MutexLock lock(&mu_);
    for (uint64_t id : ids) {
      auto known = key_of_id_.find(id);
      if (known == key_of_id_.end()) continue;
      const Key key = known->second;
      Pending& pending = orders_.at(key);
      for (TargetId target : open) {
        auto waits = pending.waiting_for.find(target);
        if (waits == pending.waiting_for.end() || id < waits->second) continue;
        pending.waiting_for.erase(waits);
        queues_.at(target).Erase(key);
      }
      FinishIfDone(key, finished);
    }
  }
  for (Done& done : finished) std::move(done)();
}

void OrderQueue::Restarted(absl::Span<const TargetId> targets) {
  absl::MutexLock lock(&mu_);
  for (TargetId target : targets) {
    auto found = queues_.find(target);
    if (found == queues_.end()) continue;
    Queue& queue = found->second;
    queue.by_due.clear();
    for (auto& [key, sending] : queue.orders) {
      sending = {-absl::InfiniteDuration(), kOrderResendAfter};
      queue.by_due.emplace(sending.due, key);
    }
  }
}

size_t OrderQueue::overdue() const {
  absl::MutexLock lock(&mu_);
  const absl::Duration before = clock_->SinceBoot() - kOrderOverdueAfter;
  size_t count = 0;
  for (const auto& [key, pending] : orders_) {
    if (pending.since > before) break;  // and so are all with a higher number
    ++count;
  }
  return count;
}

size_t OrderQueue::under_way() const {
  absl::MutexLock lock(&mu_);
  return orders_.size();
}

}  // namespace penstock::metaserver
