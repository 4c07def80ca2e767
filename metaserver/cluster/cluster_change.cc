// How ClusterState makes a change durable, installs it, and tells everybody.
#include <algorithm>

#include "common/status.h"
#include "metaserver/cluster/cluster_records.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/cluster/order_targets.h"

namespace penstock::metaserver {

std::vector<uint64_t> ClusterState::PublishedBy(const std::vector<Membership>& groups,
                                                uint64_t version) const {
  std::vector<uint64_t> published;
  absl::MutexLock lock(&mu_);
  for (const Membership& group : groups) {
    const Membership* before = members_.Find(group.id);
    const bool same_epoch = before != nullptr && before->epoch == group.epoch;
    published.push_back(same_epoch ? notes_.at(group.id).published : version);
    INVARIANT(!same_epoch || before->members == group.members);
  }
  return published;
}

absl::Status ClusterState::Commit(Change change) {
  if (change.empty()) return absl::OkStatus();
  record::Cluster cluster;
  {
    absl::MutexLock lock(&mu_);
    cluster = cluster_;
  }
  if (change.rebalance) *cluster.mutable_rebalance() = *change.rebalance;
  const uint64_t version = cluster.map_version() + 1;
  if (change.last_server_id != 0) cluster.set_last_server_id(change.last_server_id);
  if (change.last_target_id != 0) cluster.set_last_target_id(change.last_target_id);
  if (change.restore_finished) {
    cluster.clear_restored_epoch();
    cluster.clear_restored_group_count();
  }
  ClusterBatch batch(*sources_.store);
  MapChange map{.version = version};
  for (record::Server& server : change.servers) {
    server.set_changed(version);
    batch.Put(server);
    map.servers.push_back(server.server());
  }
  for (record::Target& target : change.targets) {
    target.set_changed(version);
    batch.Put(target);
    map.targets.push_back(target.target());
  }
  for (record::StorageClass& c : change.classes) {
    c.set_changed(version);
    batch.Put(c);
    map.classes.push_back(c.storage_class());
  }
  const std::vector<uint64_t> published = PublishedBy(change.groups, version);
  for (size_t i = 0; i < change.groups.size(); ++i) {
    record::Group group = ToRecord(change.groups[i]);
    group.set_changed(published[i]);
    batch.Put(group);
    if (published[i] == version) map.groups.push_back(group.group());
  }
  if (!map.empty()) cluster.set_map_version(version);
  batch.Put(cluster);
  auto committed = sources_.log->Commit(batch.Take(), Durability::kSynced);
  if (!committed.ok()) return Annotate(committed.status(), "store a change of the cluster map");
  MembershipsBefore before;
  {
    absl::MutexLock lock(&mu_);
    events_.Rebalance(cluster_.rebalance(), cluster.rebalance());
    cluster_ = cluster;
    before = Install(change, published);
  }
  // Before anybody can act by the new map: what he then reports as done was done by it.
  ReviseOrders(before);
  if (!map.empty()) publisher_->Publish(map);
  return absl::OkStatus();
}

MembershipsBefore ClusterState::Install(const Change& change,
                                        const std::vector<uint64_t>& published) {
  MembershipsBefore groups_before;
  const absl::Duration now = sources_.clock->SinceBoot();
  moves_.changed = true;
  inventory_.last_server_id = cluster_.last_server_id();
  inventory_.last_target_id = cluster_.last_target_id();
  events_.Servers(inventory_, change.servers);
  events_.Targets(inventory_, change.targets);
  for (const record::Server& server : change.servers) {
    inventory_.servers[ServerId(server.server().server_id())].record = server;
  }
  for (const record::Target& target : change.targets) {
    inventory_.targets[TargetId(target.target().target_id())].record = target;
  }
  for (const record::StorageClass& c : change.classes) {
    auto known = classes_.find(c.storage_class().storage_class());
    events_.Class(known == classes_.end() ? nullptr : &known->second, c);
    classes_[c.storage_class().storage_class()] = c;
  }
  for (size_t i = 0; i < change.groups.size(); ++i) {
    const Membership* before = members_.Find(change.groups[i].id);
    if (before != nullptr) {
      events_.Group(*before, change.groups[i], now);
      groups_before[before->id] = *before;
    }
    InstallGroup(change.groups[i], published[i]);
  }
  if (!change.groups.empty()) {
    const PlaceCounts before = places_;
    CountPlaces();
    events_.Places(before, places_, inventory_);
    events_.BelowGoal(BelowGoal(), static_cast<uint32_t>(members_.groups().size()), now);
  }
  return groups_before;
}

uint32_t ClusterState::BelowGoal() const {
  uint32_t below = 0;
  for (const auto& [id, group] : members_.groups()) {
    auto known = classes_.find(id.storage_class);
    if (known == classes_.end()) continue;
    below += group.in_sync() < known->second.storage_class().replication() ? 1 : 0;
  }
  return below;
}

void ClusterState::InstallGroup(const Membership& group, uint64_t published) {
  const Membership* before = members_.Find(group.id);
  GroupNotes& notes = notes_[group.id];
  if (before == nullptr || before->epoch != group.epoch) {
    notes.synced.clear();  // said for an epoch that is over
    notes.dropping.clear();
    notes.dropped.clear();
  }
  const auto no_former = [&](TargetId target) {
    return !std::binary_search(group.former.begin(), group.former.end(), target);
  };
  absl::erase_if(notes.dropping, no_former);
  absl::erase_if(notes.dropped, no_former);
  notes.published = published;
  auto known = classes_.find(group.id.storage_class);
  const bool below =
      known != classes_.end() && group.members.size() < known->second.storage_class().replication();
  if (!below) {
    notes.below_goal_since = absl::InfiniteDuration();
  } else if (notes.below_goal_since == absl::InfiniteDuration()) {
    notes.below_goal_since = sources_.clock->SinceBoot();
  }
  members_.Install(group);
}

void ClusterState::CountPlaces() {
  places_.clear();
  for (const auto& [id, group] : members_.groups()) {
    for (const GroupMember& member : group.members) {
      Places& places = places_[member.target];
      ++places.groups;
      places.syncing += member.state == wire::MEMBER_SYNCING ? 1 : 0;
    }
    ++places_[group.members.front().target].heads;
  }
}

void ClusterState::ReviseOrders(const MembershipsBefore& before) {
  if (before.empty()) return;
  uint64_t version = 0;
  {
    absl::MutexLock lock(&mu_);
    version = cluster_.map_version();
  }
  orders_->Revise(version, [&](const wire::Order& order) { return RevisionOf(order, before); });
}

OrderRevision ClusterState::RevisionOf(const wire::Order& order,
                                       const MembershipsBefore& before) const {
  absl::MutexLock lock(&mu_);
  auto known = classes_.find(StorageClassOf(order));
  if (known == classes_.end()) return {};
  return ReviseOrder(order, before, members_, known->second.storage_class().group_count());
}

}  // namespace penstock::metaserver
