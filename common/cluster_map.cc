#include "common/cluster_map.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "common/status.h"

namespace penstock {
namespace {

bool IsPowerOfTwo(uint32_t n) { return n != 0 && (n & (n - 1)) == 0; }

// A group table of 2^24 is far beyond any cluster; more is a damaged message.
constexpr uint32_t kMaxGroups = 1u << 24;

template <typename Key, typename Value>
std::vector<Key> SortedKeys(const absl::flat_hash_map<uint32_t, Value>& map) {
  std::vector<Key> keys;
  keys.reserve(map.size());
  for (const auto& [key, value] : map) keys.push_back(Key(key));
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace

const wire::MapServer* ClusterMap::FindServer(ServerId id) const {
  auto it = servers_.find(id.value());
  return it == servers_.end() ? nullptr : &it->second;
}

const wire::MapTarget* ClusterMap::FindTarget(TargetId id) const {
  auto it = targets_.find(id.value());
  return it == targets_.end() ? nullptr : &it->second;
}

const wire::MapServer* ClusterMap::ServerOf(TargetId id) const {
  const wire::MapTarget* target = FindTarget(id);
  return target == nullptr ? nullptr : FindServer(ServerId(target->server_id()));
}

const StorageClass* ClusterMap::FindClass(uint32_t storage_class) const {
  auto it = classes_.find(storage_class);
  return it == classes_.end() ? nullptr : &it->second;
}

const Group* ClusterMap::FindGroup(GroupId id) const {
  const StorageClass* found = FindClass(id.storage_class);
  if (found == nullptr || id.number >= found->groups.size()) return nullptr;
  return &found->groups[id.number];
}

const Group* ClusterMap::GroupOf(uint32_t storage_class, uint32_t position) const {
  const StorageClass* found = FindClass(storage_class);
  if (found == nullptr || found->groups.empty()) return nullptr;
  return &found->groups[GroupOfPosition(position, static_cast<uint32_t>(found->groups.size()))];
}

std::vector<ServerId> ClusterMap::servers() const { return SortedKeys<ServerId>(servers_); }
std::vector<TargetId> ClusterMap::targets() const { return SortedKeys<TargetId>(targets_); }
std::vector<uint32_t> ClusterMap::classes() const { return SortedKeys<uint32_t>(classes_); }

absl::Status ClusterMap::Apply(const wire::ClusterMap& update) {
  if (!cluster_id_.empty() && update.cluster_id() != cluster_id_) {
    return WithReason(absl::InvalidArgumentError("cluster map of another cluster"),
                      Reason::kWrongCluster);
  }
  if (update.since() > version_) {
    return absl::AbortedError(
        absl::StrCat("map change is based on version ", update.since(), ", known is ", version_));
  }
  if (update.version() <= version_) return absl::OkStatus();
  ClusterMap next = update.since() == 0 ? ClusterMap() : *this;
  for (const auto& server : update.servers()) next.servers_[server.server_id()] = server;
  for (const auto& target : update.targets()) next.targets_[target.target_id()] = target;
  for (const auto& wire_class : update.classes()) {
    uint32_t count = wire_class.group_count();
    if (count != 0 && (!IsPowerOfTwo(count) || count > kMaxGroups)) {
      return absl::InvalidArgumentError(absl::StrCat("group count ", count, " in cluster map"));
    }
    StorageClass& known = next.classes_[wire_class.storage_class()];
    known.id = wire_class.storage_class();
    known.name = wire_class.name();
    known.replication = wire_class.replication();
    known.groups.resize(count);
    for (uint32_t i = 0; i < count; ++i) known.groups[i].id = GroupId{known.id, i};
  }
  for (const auto& wire_group : update.groups()) {
    auto it = next.classes_.find(wire_group.storage_class());
    if (it == next.classes_.end() || wire_group.number() >= it->second.groups.size()) {
      return absl::InvalidArgumentError("cluster map names a group outside its class");
    }
    Group& group = it->second.groups[wire_group.number()];
    if (wire_group.reconciling() > static_cast<uint32_t>(wire_group.members_size())) {
      return absl::InvalidArgumentError("a group reconciles more members than it has");
    }
    group.epoch = wire_group.epoch();
    group.reconciling = wire_group.reconciling();
    group.members.clear();
    for (const auto& member : wire_group.members()) {
      group.members.push_back({TargetId(member.target_id()), member.state()});
    }
  }
  next.version_ = update.version();
  next.cluster_id_ = update.cluster_id();
  *this = std::move(next);
  return absl::OkStatus();
}

wire::ClusterMap ClusterMap::ToWire() const {
  wire::ClusterMap out;
  out.set_version(version_);
  out.set_cluster_id(cluster_id_);
  for (ServerId id : servers()) *out.add_servers() = *FindServer(id);
  for (TargetId id : targets()) *out.add_targets() = *FindTarget(id);
  for (uint32_t id : classes()) {
    const StorageClass& storage_class = classes_.at(id);
    auto* wire_class = out.add_classes();
    wire_class->set_storage_class(id);
    wire_class->set_name(storage_class.name);
    wire_class->set_replication(storage_class.replication);
    wire_class->set_group_count(static_cast<uint32_t>(storage_class.groups.size()));
    for (const Group& group : storage_class.groups) {
      auto* wire_group = out.add_groups();
      wire_group->set_storage_class(id);
      wire_group->set_number(group.id.number);
      wire_group->set_epoch(group.epoch);
      wire_group->set_reconciling(group.reconciling);
      for (const GroupMember& member : group.members) {
        auto* wire_member = wire_group->add_members();
        wire_member->set_target_id(member.target.value());
        wire_member->set_state(member.state);
      }
    }
  }
  return out;
}

std::shared_ptr<const ClusterMap> MapHolder::Get() const {
  absl::MutexLock lock(&mu_);
  return map_;
}

absl::Status MapHolder::Apply(const wire::ClusterMap& update) {
  absl::MutexLock lock(&mu_);
  auto next = std::make_shared<ClusterMap>(*map_);
  RETURN_IF_ERROR(next->Apply(update));
  if (next->version() != map_->version()) map_ = std::move(next);
  return absl::OkStatus();
}

bool MapHolder::WaitNewer(uint64_t version, absl::Duration timeout) const {
  absl::MutexLock lock(&mu_);
  auto newer = [this, version]()
                   ABSL_SHARED_LOCKS_REQUIRED(mu_) { return map_->version() > version; };
  return mu_.AwaitWithTimeout(absl::Condition(&newer), timeout);
}

}  // namespace penstock
