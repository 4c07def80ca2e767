// The records of the cluster in Family::kCluster (docs/formats/cluster_records.md): reads them all
// at the start and gathers a change's records into one batch. Knows no rules.
#pragma once

#include <absl/status/statusor.h>
#include <rocksdb/write_batch.h>

#include <string>
#include <vector>

#include "metaserver/cluster/member_table.h"
#include "metaserver/store/meta_store.h"
#include "proto/cluster_records.pb.h"

namespace penstock::metaserver {

inline constexpr uint32_t kClusterRecordFormat = 1;

struct ClusterRecords {
  bool found = false;  // false: a new, empty database
  record::Cluster cluster;
  std::vector<record::Server> servers;
  std::vector<record::Target> targets;
  std::vector<record::StorageClass> classes;
  std::vector<record::Group> groups;
  std::vector<record::Fence> fences;
};

// DATA_LOSS: a record cannot be read, or is of a newer format.
absl::StatusOr<ClusterRecords> LoadClusterRecords(const MetaStore& store);

record::Group ToRecord(const Membership& membership);
// DATA_LOSS when it breaks the rules of a membership.
absl::StatusOr<Membership> FromRecord(const record::Group& group);

class ClusterBatch {
 public:
  explicit ClusterBatch(const MetaStore& store) : ClusterBatch(store, nullptr) {}
  // Into `batch`, which must outlive this.
  ClusterBatch(const MetaStore& store, rocksdb::WriteBatch* batch)
      : family_(store.family(Family::kCluster)), batch_(batch != nullptr ? *batch : own_) {}
  ClusterBatch(const ClusterBatch&) = delete;
  ClusterBatch& operator=(const ClusterBatch&) = delete;
  void Put(const record::Cluster& cluster);
  void Put(const record::Server& server);
  void Put(const record::Target& target);
  void Put(const record::StorageClass& storage_class);
  void Put(const record::Group& group);
  void Put(const record::Fence& fence);
  void DeleteFence(uint64_t session_id);
  void Delete(const record::Group& group);
  rocksdb::WriteBatch Take() { return std::move(own_); }

 private:
  void PutBytes(const std::string& key, const google::protobuf::Message& message);

  rocksdb::ColumnFamilyHandle* family_;
  rocksdb::WriteBatch own_;
  rocksdb::WriteBatch& batch_;
};

}  // namespace penstock::metaserver
