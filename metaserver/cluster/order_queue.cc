#include "metaserver/cluster/order_queue.h"

#include <algorithm>

#include "metaserver/cluster/cluster_options.h"

namespace penstock::metaserver {

void OrderQueue::Queue::Put(uint64_t id, Sending sending) {
  Erase(id);
  orders[id] = sending;
  by_due.emplace(sending.due, id);
}

bool OrderQueue::Queue::Erase(uint64_t id) {
  auto it = orders.find(id);
  if (it == orders.end()) return false;
  by_due.erase({it->second.due, id});
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

bool OrderQueue::Add(wire::Order order, Done done) {
  const std::vector<TargetId> targets = targets_(order);
  if (targets.empty()) {
    // No chunk to drop or cut, or a class without groups: nothing was ever written in it.
    std::move(done)();
    return true;
  }
  absl::MutexLock lock(&mu_);
  const bool truncates = order.has_truncate_content();
  const size_t like_it = truncates ? truncations_ : orders_.size() - truncations_;
  if (like_it >= kMaxOrdersUnderWay) return false;
  if (truncates) ++truncations_;
  const uint64_t id = next_order_id_++;
  order.set_order_id(id);
  Pending& pending = orders_[id];
  pending.order = std::move(order);
  pending.waiting_for.insert(targets.begin(), targets.end());
  pending.since = clock_->SinceBoot();
  pending.done = std::move(done);
  for (TargetId target : targets) {
    queues_[target].Put(id, {-absl::InfiniteDuration(), kOrderResendAfter});
  }
  return true;
}

std::vector<wire::Order> OrderQueue::Take(absl::Span<const TargetId> open) {
  std::vector<wire::Order> orders;
  absl::flat_hash_set<uint64_t> taken;  // one order may be for several targets of the server
  absl::MutexLock lock(&mu_);
  const absl::Duration now = clock_->SinceBoot();
  for (TargetId target : open) {
    auto found = queues_.find(target);
    if (found == queues_.end()) continue;
    Queue& queue = found->second;
    while (!queue.by_due.empty() && queue.by_due.begin()->first <= now) {
      const uint64_t id = queue.by_due.begin()->second;
      if (!taken.contains(id)) {
        if (orders.size() >= kMaxOrdersPerHeartbeat) return orders;
        taken.insert(id);
        orders.push_back(orders_.at(id).order);
      }
      const absl::Duration pause = queue.orders.at(id).pause;
      queue.Put(id, {now + pause, std::min(pause * 2, kOrderResendAtLeastEvery)});
    }
  }
  return orders;
}

void OrderQueue::Acknowledge(absl::Span<const TargetId> open, absl::Span<const uint64_t> ids) {
  std::vector<Done> finished;
  {
    absl::MutexLock lock(&mu_);
    for (uint64_t id : ids) {
      auto pending = orders_.find(id);
      if (pending == orders_.end()) continue;
      for (TargetId target : open) {
        if (pending->second.waiting_for.erase(target) > 0) queues_.at(target).Erase(id);
      }
      if (!pending->second.waiting_for.empty()) continue;
      if (pending->second.order.has_truncate_content()) --truncations_;
      finished.push_back(std::move(pending->second.done));
      orders_.erase(pending);
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
    for (auto& [id, sending] : queue.orders) {
      sending = {-absl::InfiniteDuration(), kOrderResendAfter};
      queue.by_due.emplace(sending.due, id);
    }
  }
}

size_t OrderQueue::overdue() const {
  absl::MutexLock lock(&mu_);
  const absl::Duration before = clock_->SinceBoot() - kOrderOverdueAfter;
  size_t count = 0;
  for (const auto& [id, pending] : orders_) {
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
