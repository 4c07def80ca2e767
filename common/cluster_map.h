// ClusterMap is the decoded cluster map: servers, targets, groups and epochs, versioned. A plain
// value; share it as shared_ptr<const ClusterMap> through MapHolder.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/placement.h"
#include "proto/types.pb.h"

namespace penstock {

struct GroupMember {
  TargetId target;
  wire::MemberState state = wire::MEMBER_IN_SYNC;
  friend bool operator==(const GroupMember&, const GroupMember&) = default;
};

struct Group {
  GroupId id;
  uint32_t epoch = 0;
  std::vector<GroupMember> members;  // head to tail
  // Not 0 while nobody is in sync: of the first so many members every copy counts, and the first
  // one leads (proto/types.proto).
  uint32_t reconciling = 0;
};

struct StorageClass {
  uint32_t id = 0;
  std::string name;
  uint32_t replication = 0;
  std::vector<Group> groups;  // by number; size a power of two, or empty
};

class ClusterMap {
 public:
  uint64_t version() const { return version_; }
  const std::string& cluster_id() const { return cluster_id_; }

  const wire::MapServer* FindServer(ServerId id) const;  // nullptr: unknown
  const wire::MapTarget* FindTarget(TargetId id) const;
  const wire::MapServer* ServerOf(TargetId id) const;
  const StorageClass* FindClass(uint32_t storage_class) const;
  // nullptr: no such class, or its groups are not formed.
  const Group* FindGroup(GroupId id) const;
  const Group* GroupOf(uint32_t storage_class, uint32_t position) const;

  std::vector<ServerId> servers() const;  // ascending
  std::vector<TargetId> targets() const;
  std::vector<uint32_t> classes() const;

  // Applies a whole map or a change. ABORTED when `update.since()` is newer than this map (ask for
  // the whole one); an older update changes nothing; INVALID_ARGUMENT when it makes no sense.
  absl::Status Apply(const wire::ClusterMap& update);
  wire::ClusterMap ToWire() const;  // whole

 private:
  uint64_t version_ = 0;
  std::string cluster_id_;
  absl::flat_hash_map<uint32_t, wire::MapServer> servers_;
  absl::flat_hash_map<uint32_t, wire::MapTarget> targets_;
  absl::flat_hash_map<uint32_t, StorageClass> classes_;
};

// The newest map, shared. Thread-safe.
class MapHolder {
 public:
  MapHolder() : map_(std::make_shared<const ClusterMap>()) {}
  std::shared_ptr<const ClusterMap> Get() const;
  absl::Status Apply(const wire::ClusterMap& update);  // see ClusterMap::Apply
  // Waits until the map is newer than `version`; false at the deadline.
  bool WaitNewer(uint64_t version, absl::Duration timeout) const;

 private:
  mutable absl::Mutex mu_;
  std::shared_ptr<const ClusterMap> map_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock
