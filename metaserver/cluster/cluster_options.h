// Settings of the cluster's part of the metaserver; metaserver_options.h shows them as flags.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace penstock::metaserver {

struct ClusterOptions {
  std::string cluster_id;        // empty: the stored one, or a new one at the first start
  uint32_t replication = 2;      // copies of each chunk; used when the groups are formed
  uint32_t group_count = 1024;   // a power of two; used when the groups are formed
  uint32_t initial_targets = 0;  // groups are formed when so many registered; 0: replication
  absl::Duration heartbeat = absl::Seconds(1);      // asked of chunkservers
  absl::Duration offline_after = absl::Seconds(5);  // longer on slow machines
  absl::Duration repair_after = absl::Minutes(10);  // then another target takes a lost one's place
  uint32_t repairs_per_target = 64;                 // groups that sync onto one target at a time
  uint32_t moves_per_target = 32;                   // of those, of drain and rebalance together
  uint64_t placement_seed = 0x50656e73746f636b;     // of the groups; any number
};

inline constexpr size_t kMaxJoinsPerTick = 4096;  // groups that get, or are left by, a copy
inline constexpr size_t kMaxRebalancesPerTick = 256;
inline constexpr uint64_t kRebalanceRounds = 4;  // moves of all copies, before it gives up
inline constexpr double kNearlyFull = 0.05;      // free share below which a disk takes no groups
inline constexpr size_t kMaxOrdersUnderWay = 100000;    // of each kind, over all servers
inline constexpr size_t kMaxOrdersPerHeartbeat = 2000;  // to one server
inline constexpr absl::Duration kOrderResendAfter = absl::Seconds(5);  // doubled each time, up to
inline constexpr absl::Duration kOrderResendAtLeastEvery = absl::Minutes(1);
inline constexpr absl::Duration kOrderOverdueAfter = absl::Seconds(30);
inline constexpr absl::Duration kFenceKeptFor = absl::Hours(24);  // far above any I/O timeout
inline constexpr int kMaxTargetsPerServer = 1024;

}  // namespace penstock::metaserver
