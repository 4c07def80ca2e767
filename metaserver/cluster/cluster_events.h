// ClusterEvents puts into words what happens to servers, targets, classes and groups, by comparing
// what was with what is (docs/operate/events.md). Not thread-safe: ClusterState guards it. Waits
// for nothing.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "metaserver/cluster/cluster_view.h"
#include "metaserver/cluster/group_digest.h"
#include "metaserver/cluster/inventory.h"
#include "metaserver/cluster/member_table.h"
#include "metaserver/events/event_sink.h"

namespace penstock::metaserver {

class ClusterEvents {
 public:
  // `sink` outlives it.
  explicit ClusterEvents(EventSink* sink) : sink_(sink) {}

  // Before a change is installed: `inventory` is as it was.
  void Servers(const Inventory& inventory, const std::vector<record::Server>& servers);
  void Targets(const Inventory& inventory, const std::vector<record::Target>& targets);
  void Rebalance(const record::Rebalance& before, const record::Rebalance& now);
  // `before` is nullptr for a new one.
  void Class(const record::StorageClass* before, const record::StorageClass& now);
  void Group(const Membership& before, const Membership& after, absl::Duration now) {
    digest_.Count(before, after, now);
  }
  // Places and groups below their goal as they are after a change, or at the start.
  void Places(const PlaceCounts& before, const PlaceCounts& after, const Inventory& inventory);
  void BelowGoal(uint32_t groups, uint32_t all_groups, absl::Duration now);
  void StartBelowGoal(uint32_t groups, absl::Duration now);

  void Restarted(const ServerEntry& server);  // another process, which registered in time
  void Health(const Inventory& inventory, const TargetEntry& target, const wire::TargetHealth& now);
  void Setting(const std::string& text) { sink_->Add(Severity::kInfo, "setting.changed", text); }
  void Tick(absl::Duration now);

 private:
  void Drain(const std::string& name, const record::Target& before, const record::Target& now);

  EventSink* const sink_;
  GroupDigest digest_;
  uint32_t below_goal_ = 0;
  absl::Duration below_since_;
};

}  // namespace penstock::metaserver
