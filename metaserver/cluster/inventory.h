// Inventory is what the metaserver knows of chunkservers and targets: their records and what their
// heartbeats last said. A plain value; ClusterState guards it.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>

#include "common/ids.h"
#include "proto/cluster.pb.h"
#include "proto/cluster_records.pb.h"

namespace penstock::metaserver {

struct ServerEntry {
  record::Server record;
  std::string instance;  // of the process; empty until it registers after our start
  absl::Duration heard;  // Clock::SinceBoot() of the last registration or heartbeat
  uint64_t fence_version = 0;
  uint64_t map_version = 0;    // that it has taken, as its last heartbeat said
  absl::Duration fence_after;  // without an answered heartbeat it then stops serving
  ServerId id() const { return ServerId(record.server().server_id()); }
  // Heard within `within`.
  bool live(absl::Duration now, absl::Duration within) const {
    return !instance.empty() && now - heard <= within;
  }
};

struct TargetEntry {
  record::Target record;
  wire::TargetHealth health;   // of the last heartbeat or registration; no id: none since our start
  wire::SyncProgress syncing;  // of the last heartbeat
  wire::HeldGroups held;       // after a restore only
  bool reported() const { return health.target_id() != 0; }
  TargetId id() const { return TargetId(record.target().target_id()); }
  ServerId server() const { return ServerId(record.target().server_id()); }
  uint64_t capacity_bytes() const {
    return reported() ? health.capacity_bytes() : record.capacity_bytes();
  }
  // Equal for targets that share a disk; "" for one that was never measured.
  const std::string& disk_id() const {
    return health.disk_id().empty() ? record.disk_id() : health.disk_id();
  }
};

struct Inventory {
  absl::btree_map<ServerId, ServerEntry> servers;
  absl::btree_map<TargetId, TargetEntry> targets;
  uint32_t last_server_id = 0;
  uint32_t last_target_id = 0;
};

// The server had targets, and all of them were removed.
bool AllRemoved(const Inventory& inventory, ServerId server);

// "server 2 (node7, 10.0.0.7:7411)" and "target 3 (/data/t1 of node7)", for people.
std::string Describe(const ServerEntry& server);
std::string Describe(const Inventory& inventory, const TargetEntry& target);

}  // namespace penstock::metaserver
