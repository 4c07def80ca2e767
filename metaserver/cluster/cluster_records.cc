#include "metaserver/cluster/cluster_records.h"

#include <absl/strings/str_cat.h>

#include "common/status.h"

namespace penstock::metaserver {
namespace {

constexpr std::string_view kClusterKey = "cluster";
constexpr std::string_view kServers = "server/";
constexpr std::string_view kTargets = "target/";
constexpr std::string_view kClasses = "class/";
constexpr std::string_view kGroups = "group/";
constexpr std::string_view kFences = "fence/";
constexpr std::string_view kSettings = "setting/";

void AppendBigEndian(std::string& key, uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>((value >> shift) & 0xff));
  }
}

std::string Key(std::string_view prefix, uint64_t id, int bytes) {
  std::string key(prefix);
  AppendBigEndian(key, id, bytes);
  return key;
}

std::string GroupKey(const record::Group& group) {
  std::string key = Key(kGroups, group.group().storage_class(), 4);
  AppendBigEndian(key, group.group().number(), 4);
  return key;
}

template <typename Record>
absl::Status LoadAll(const MetaStore& store, std::string_view prefix, std::vector<Record>& into) {
  auto rows = store.Scan(Family::kCluster, prefix);
  if (!rows.ok()) return rows.status();
  for (const auto& [key, value] : *rows) {
    if (!into.emplace_back().ParseFromString(value)) {
      return absl::DataLossError(
          absl::StrCat("cluster record ", std::string(prefix), " cannot be read"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ClusterRecords> LoadClusterRecords(const MetaStore& store) {
  ClusterRecords all;
  auto cluster = store.Get(Family::kCluster, kClusterKey);
  if (absl::IsNotFound(cluster.status())) return all;
  if (!cluster.ok()) return cluster.status();
  all.found = true;
  if (!all.cluster.ParseFromString(*cluster)) {
    return absl::DataLossError("the cluster record cannot be read");
  }
  if (all.cluster.format() != kClusterRecordFormat) {
    return absl::DataLossError(absl::StrCat("cluster records of format ", all.cluster.format(),
                                            ", this program knows ", kClusterRecordFormat));
  }
  RETURN_IF_ERROR(LoadAll(store, kServers, all.servers));
  RETURN_IF_ERROR(LoadAll(store, kTargets, all.targets));
  RETURN_IF_ERROR(LoadAll(store, kClasses, all.classes));
  RETURN_IF_ERROR(LoadAll(store, kGroups, all.groups));
  RETURN_IF_ERROR(LoadAll(store, kFences, all.fences));
  RETURN_IF_ERROR(LoadAll(store, kSettings, all.settings));
  return all;
}

record::Group ToRecord(const Membership& m) {
  record::Group record;
  wire::MapGroup* group = record.mutable_group();
  group->set_storage_class(m.id.storage_class);
  group->set_number(m.id.number);
  group->set_epoch(m.epoch);
  for (const GroupMember& member : m.members) {
    wire::MapMember* to = group->add_members();
    to->set_target_id(member.target.value());
    to->set_state(member.state);
  }
  // They stand first (CheckMembership).
  if (m.reconciling()) group->set_reconciling(static_cast<uint32_t>(m.basis.size()));
  for (TargetId target : m.basis) record.add_basis(target.value());
  for (TargetId target : m.rebooted) record.add_rebooted(target.value());
  for (TargetId target : m.former) record.add_former(target.value());
  record.set_confirmed_epoch(m.confirmed_epoch);
  record.set_leaving(m.leaving.value());
  return record;
}

absl::StatusOr<Membership> FromRecord(const record::Group& record) {
  const wire::MapGroup& group = record.group();
  Membership m{.id = {group.storage_class(), group.number()}, .epoch = group.epoch()};
  for (const wire::MapMember& member : group.members()) {
    m.members.push_back({TargetId(member.target_id()), member.state()});
  }
  for (uint32_t target : record.basis()) m.basis.push_back(TargetId(target));
  for (uint32_t target : record.rebooted()) m.rebooted.push_back(TargetId(target));
  for (uint32_t target : record.former()) m.former.push_back(TargetId(target));
  m.confirmed_epoch = record.confirmed_epoch();
  m.leaving = TargetId(record.leaving());
  if (const std::string problem = CheckMembership(m); !problem.empty()) {
    return absl::DataLossError(absl::StrCat("record of group ", m.id.number, ": ", problem));
  }
  return m;
}

void ClusterBatch::PutBytes(const std::string& key, const google::protobuf::Message& message) {
  batch_.Put(family_, key, message.SerializeAsString());
}

void ClusterBatch::Put(const record::Cluster& cluster) {
  PutBytes(std::string(kClusterKey), cluster);
}
void ClusterBatch::Put(const record::Server& server) {
  PutBytes(Key(kServers, server.server().server_id(), 4), server);
}
void ClusterBatch::Put(const record::Target& target) {
  PutBytes(Key(kTargets, target.target().target_id(), 4), target);
}
void ClusterBatch::Put(const record::StorageClass& storage_class) {
  PutBytes(Key(kClasses, storage_class.storage_class().storage_class(), 4), storage_class);
}
void ClusterBatch::Put(const record::Group& group) { PutBytes(GroupKey(group), group); }
void ClusterBatch::Delete(const record::Group& group) { batch_.Delete(family_, GroupKey(group)); }
void ClusterBatch::Put(const record::Fence& fence) {
  PutBytes(Key(kFences, fence.session_id(), 8), fence);
}
void ClusterBatch::DeleteFence(uint64_t session_id) {
  batch_.Delete(family_, Key(kFences, session_id, 8));
}
void ClusterBatch::Put(const record::Setting& setting) {
  PutBytes(std::string(kSettings) + setting.name(), setting);
}
void ClusterBatch::DeleteSetting(const std::string& name) {
  batch_.Delete(family_, std::string(kSettings) + name);
}

}  // namespace penstock::metaserver
