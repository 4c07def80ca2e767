#include "metaserver/cluster/restored_records.h"

#include <algorithm>
#include <limits>

#include "common/status.h"
#include "metaserver/cluster/cluster_state.h"

namespace penstock::metaserver {
namespace {

template <typename Number>
absl::StatusOr<Number> Ahead(Number value, Number skipped, const char* what) {
  if (value > std::numeric_limits<Number>::max() - skipped) {
    return absl::ResourceExhaustedError(std::string("no ") + what + " are left for a restore");
  }
  return static_cast<Number>(value + skipped);
}

absl::Status MoveCluster(const ClusterRecords& backup, record::Cluster& cluster) {
  ASSIGN_OR_RETURN(const uint64_t version,
                   Ahead(cluster.map_version(), kSkippedVersions, "map versions"));
  ASSIGN_OR_RETURN(const uint32_t server,
                   Ahead(cluster.last_server_id(), kSkippedMembers, "server ids"));
  ASSIGN_OR_RETURN(const uint32_t target,
                   Ahead(cluster.last_target_id(), kSkippedMembers, "target ids"));
  uint32_t epoch = cluster.restored_epoch();  // of a backup that was made before it was finished
  for (const record::Group& group : backup.groups) epoch = std::max(epoch, group.group().epoch());
  ASSIGN_OR_RETURN(epoch, Ahead(epoch, kSkippedEpochs, "epochs"));
  cluster.set_map_version(version);
  cluster.set_last_server_id(server);
  cluster.set_last_target_id(target);
  cluster.set_restored_epoch(epoch);
  return absl::OkStatus();
}

absl::Status MoveFences(const RestoreFences& fences, std::vector<record::Fence>& records) {
  uint64_t version = 0;
  for (const record::Fence& fence : records) version = std::max(version, fence.version());
  ASSIGN_OR_RETURN(version, Ahead(version, kSkippedVersions, "versions of fences"));
  for (uint64_t session : fences.sessions) {
    record::Fence& fence = records.emplace_back();
    fence.set_session_id(session);
    fence.set_version(version++);
    fence.set_since_s(fences.now_s);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RestoredRecords> AsRestored(const ClusterRecords& backup,
                                           const RestoreFences& fences) {
  RestoredRecords restored{.now = backup, .groups = backup.groups};
  ClusterRecords& now = restored.now;
  now.groups.clear();
  RETURN_IF_ERROR(MoveCluster(backup, now.cluster));
  RETURN_IF_ERROR(MoveFences(fences, now.fences));
  const uint64_t version = now.cluster.map_version();
  for (record::Server& server : now.servers) {
    server.set_changed(version);
    server.mutable_server()->set_state(wire::SERVER_OFFLINE);  // until it is heard
  }
  for (record::Target& target : now.targets) {
    target.set_changed(version);
    target.mutable_target()->set_state(wire::TARGET_OFFLINE);
  }
  for (record::StorageClass& c : now.classes) {
    if (c.storage_class().storage_class() != kDefaultStorageClass) {
      return absl::UnimplementedError("the backup has more than the standard storage class");
    }
    if (c.storage_class().group_count() != 0) {
      now.cluster.set_restored_group_count(c.storage_class().group_count());
    }
    c.mutable_storage_class()->set_group_count(0);
    c.set_changed(version);
  }
  return restored;
}

void PutRestored(const MetaStore& store, const RestoredRecords& restored,
                 rocksdb::WriteBatch& batch) {
  ClusterBatch into(store, &batch);
  for (const record::Group& group : restored.groups) into.Delete(group);
  for (const record::Server& server : restored.now.servers) into.Put(server);
  for (const record::Target& target : restored.now.targets) into.Put(target);
  for (const record::StorageClass& c : restored.now.classes) into.Put(c);
  for (const record::Fence& fence : restored.now.fences) into.Put(fence);
  into.Put(restored.now.cluster);
}

}  // namespace penstock::metaserver
