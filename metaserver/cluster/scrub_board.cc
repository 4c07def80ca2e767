#include "metaserver/cluster/scrub_board.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace penstock::metaserver {
namespace {

absl::Status NoSuchTarget(uint32_t id) {
  return absl::NotFoundError(
      absl::StrCat("there is no target ", id, "; `penstock target ls` lists them"));
}

bool IsThere(const Inventory& inventory, TargetId id) {
  auto found = inventory.targets.find(id);
  return found != inventory.targets.end() && !found->second.record.removed();
}

}  // namespace

absl::StatusOr<wire::StartScrubResponse> ScrubBoard::Start(const wire::StartScrubRequest& request,
                                                           const Inventory& inventory,
                                                           uint64_t now_us) {
  wire::StartScrubResponse response;
  if (request.target_id() != 0 && !IsThere(inventory, TargetId(request.target_id()))) {
    return NoSuchTarget(request.target_id());
  }
  for (const auto& [id, target] : inventory.targets) {
    if (request.target_id() != 0 && id.value() != request.target_id()) continue;
    if (target.record.removed()) continue;
    if (target.record.target().state() == wire::TARGET_ONLINE) {
      response.add_target_ids(id.value());
    } else if (request.target_id() != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(Describe(inventory, target), " is not online: `penstock status` says why"));
    }
  }
  if (response.target_ids().empty()) {
    return absl::FailedPreconditionError("no target is online: `penstock status` says why");
  }
  // Servers take only growing numbers, also when the clock was set back and this is a new process.
  for (const auto& [id, entry] : entries_) {
    last_order_ = std::max(last_order_, entry.progress.order());
  }
  last_order_ = std::max(last_order_ + 1, now_us);
  response.set_order(last_order_);
  for (uint32_t id : response.target_ids()) {
    wire::ScrubOrder& order = entries_[TargetId(id)].order;
    order.set_order(last_order_);
    order.set_target_id(id);
    order.set_max_bytes_per_second(request.max_bytes_per_second());
  }
  return response;
}

void ScrubBoard::Note(ServerId server, const wire::HeartbeatRequest& request,
                      const Inventory& inventory) {
  for (const wire::ScrubProgress& progress : request.scrubs()) {
    const TargetId id(progress.target_id());
    auto target = inventory.targets.find(id);
    if (target == inventory.targets.end() || target->second.server() != server) continue;
    entries_[id].progress = progress;
  }
}

std::vector<wire::ScrubOrder> ScrubBoard::OrdersFor(ServerId server,
                                                    const Inventory& inventory) const {
  std::vector<wire::ScrubOrder> orders;
  for (const auto& [id, entry] : entries_) {
    if (entry.order.order() <= entry.progress.order()) continue;
    auto target = inventory.targets.find(id);
    if (target == inventory.targets.end() || target->second.server() != server) continue;
    orders.push_back(entry.order);
  }
  return orders;
}

absl::StatusOr<wire::ListScrubsResponse> ScrubBoard::List(const wire::ListScrubsRequest& request,
                                                          const Inventory& inventory) const {
  if (request.target_id() != 0 && !IsThere(inventory, TargetId(request.target_id()))) {
    return NoSuchTarget(request.target_id());
  }
  wire::ListScrubsResponse response;
  for (const auto& [id, target] : inventory.targets) {
    if (request.target_id() != 0 && id.value() != request.target_id()) continue;
    if (target.record.removed()) continue;
    wire::TargetScrub& scrub = *response.add_targets();
    scrub.set_target_id(id.value());
    scrub.set_path(target.record.target().path());
    scrub.set_state(target.record.target().state());
    scrub.set_damaged_chunks(target.health.damaged_chunks());
    scrub.set_lost_chunks(target.health.lost_chunks());
    auto server = inventory.servers.find(target.server());
    if (server != inventory.servers.end()) {
      scrub.set_hostname(server->second.record.server().hostname());
    }
    auto entry = entries_.find(id);
    if (entry == entries_.end()) continue;
    scrub.set_ordered(entry->second.order.order());
    *scrub.mutable_progress() = entry->second.progress;
  }
  return response;
}

}  // namespace penstock::metaserver
