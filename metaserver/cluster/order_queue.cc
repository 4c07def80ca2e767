#include "metaserver/cluster/order_queue.h"

#include "metaserver/cluster/cluster_options.h"

namespace penstock::metaserver {

OrderQueue::OrderQueue(ServersOfClass servers, uint64_t first_order_id, Clock* clock)
    : servers_(std::move(servers)), clock_(clock), next_order_id_(first_order_id) {}

bool OrderQueue::Delete(const wire::DeleteContent& order, Done done) {
  wire::Order numbered;
  *numbered.mutable_delete_content() = order;
  return Add(std::move(numbered), order.layout().storage_class(), std::move(done));
}

bool OrderQueue::Truncate(const wire::TruncateContent& order, Done done) {
  wire::Order numbered;
  *numbered.mutable_truncate_content() = order;
  return Add(std::move(numbered), order.layout().storage_class(), std::move(done));
}

bool OrderQueue::Add(wire::Order order, uint32_t storage_class, Done done) {
  const std::vector<ServerId> servers = servers_(storage_class);
  if (servers.empty()) {
    // Nothing was ever written in a class without groups.
    std::move(done)();
    return true;
  }
  absl::MutexLock lock(&mu_);
  if (orders_.size() >= kMaxOrdersUnderWay) return false;
  const uint64_t id = next_order_id_++;
  order.set_order_id(id);
  Pending& pending = orders_[id];
  pending.order = std::move(order);
  pending.waiting_for.insert(servers.begin(), servers.end());
  pending.done = std::move(done);
  for (ServerId server : servers) queues_[server][id] = -absl::InfiniteDuration();
  return true;
}

std::vector<wire::Order> OrderQueue::Take(ServerId server) {
  std::vector<wire::Order> orders;
  absl::MutexLock lock(&mu_);
  auto queue = queues_.find(server);
  if (queue == queues_.end()) return orders;
  const absl::Duration now = clock_->SinceBoot();
  for (auto& [id, sent] : queue->second) {
    if (orders.size() >= kMaxOrdersPerHeartbeat) break;
    if (now - sent < kOrderResendAfter) continue;
    sent = now;
    orders.push_back(orders_.at(id).order);
  }
  return orders;
}

void OrderQueue::Acknowledge(ServerId server, const std::vector<uint64_t>& order_ids) {
  std::vector<Done> finished;
  {
    absl::MutexLock lock(&mu_);
    auto queue = queues_.find(server);
    if (queue == queues_.end()) return;
    for (uint64_t id : order_ids) {
      if (queue->second.erase(id) == 0) continue;
      auto pending = orders_.find(id);
      pending->second.waiting_for.erase(server);
      if (!pending->second.waiting_for.empty()) continue;
      finished.push_back(std::move(pending->second.done));
      orders_.erase(pending);
    }
  }
  for (Done& done : finished) std::move(done)();
}

void OrderQueue::Restarted(ServerId server) {
  absl::MutexLock lock(&mu_);
  auto queue = queues_.find(server);
  if (queue == queues_.end()) return;
  for (auto& [id, sent] : queue->second) sent = -absl::InfiniteDuration();
}

size_t OrderQueue::under_way() const {
  absl::MutexLock lock(&mu_);
  return orders_.size();
}

}  // namespace penstock::metaserver
