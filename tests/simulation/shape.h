// What a simulated cluster looks like and what may befall it, all from its seed. Times are those of
// DESIGN.md section 6, a fifth as long, so that a short life sees many of them.
#pragma once

#include <cstdint>
#include <random>

namespace penstock::simulation {

inline constexpr int64_t kHeartbeatMs = 200;
inline constexpr int64_t kOfflineAfterMs = 1000;
inline constexpr int64_t kFenceAfterMs = 500;
inline constexpr int64_t kTickMs = 50;
inline constexpr int64_t kBarrierMs = 200;
inline constexpr int64_t kMapComesWithinMs = 100;
inline constexpr int64_t kForwardTimeoutMs = 80;  // of a call to the next member
inline constexpr int64_t kChangeTryMs = 200;      // of a client's call
inline constexpr int64_t kReadTryMs = kFenceAfterMs;
inline constexpr int64_t kControlTimeoutMs = 400;  // of a call to the metaserver

// Likelihoods; `_second` ones in a second of simulated time, of each of its subjects.
struct Faults {
  double loss = 0;
  double doubling = 0;
  double long_delay = 0;  // of a message: beyond most timeouts
  double full_disk = 0;   // of each stage
  double crash_second = 0;
  double power_cut_second = 0;
  double blackout_second = 0;  // all chunkservers lose power
  double stall_second = 0;     // a process stands still for a while
  double cut_second = 0;       // a direction between two nodes is cut
  double late_map_second = 0;
  double failed_disk_second = 0;
  double metaserver_crash_second = 0;
  double crash_in_commit = 0;  // of each change that the metaserver stores
  double full_metaserver_second = 0;
  double operation_second = 0;  // drain, undrain, rebalance, a copy to be synced again
  double fence_second = 0;      // a session loses its rights
  double unlink_second = 0;     // a content is deleted
};

// A rule that somebody breaks, so that a test can see the checks find it.
enum class Broken : uint8_t {
  kNothing,
  kCommitsEarly,              // a member does not wait for its successor's answer
  kIgnoresEpoch,              // of a request
  kIgnoresLease,              // a server serves although it has lost touch with the metaserver
  kIgnoresFences,             // a fenced session's writes are taken
  kForgetsRepeats,            // a repeat is taken for a new write
  kServesAnything,            // reads, in sync or not, pending or not
  kSyncsUnsynced,             // an fsync is answered before the disk has it
  kHidesReboot,               // after a power cut a machine says that it is as before
  kClaimsSync,                // a member says that it is in sync without having looked
  kAnswersAnyMember,          // one that is not in sync is copied from
  kLast = kAnswersAnyMember,  // the next ones show too rarely for every run
  kIgnoresNewMap,  // a lease goes on although the server lacks the map that the metaserver has
  kDropsAnyway,    // an order to drop a group is carried out whatever its epoch
};

struct Shape {
  Broken broken = Broken::kNothing;
  int servers = 4;
  int targets_each = 1;
  uint32_t replication = 2;
  uint32_t groups = 2;  // a power of two
  int64_t repair_after_ms = 2000;
  int clients = 3;
  int contents = 2;
  int chunks = 2;              // of each content
  int writes = 30;             // of each client
  int64_t troubled_ms = 8000;  // then everything is well again
  bool machine_lost = false;   // at last one machine goes for good
  Faults faults;
};

inline Shape ShapeOf(uint64_t seed) {
  std::mt19937_64 random(seed * 977 + 5);
  const auto pick = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<uint64_t>(high - low + 1));
  };
  // Often not at all: what many faults hide, few of them show.
  const auto maybe = [&](int one_in, double most) {
    return pick(1, one_in) == 1 ? most * pick(1, 4) / 4 : 0;
  };
  Shape shape;
  shape.replication = static_cast<uint32_t>(pick(1, 3));
  shape.servers = static_cast<int>(shape.replication) + pick(0, 2);
  shape.targets_each = pick(1, 3) == 1 ? 2 : 1;
  shape.groups = 1u << pick(0, 2);
  shape.repair_after_ms = 500 * pick(2, 8);
  shape.clients = pick(1, 4);
  shape.contents = pick(1, 3);
  shape.chunks = pick(1, 3);
  shape.writes = pick(10, 40);
  shape.troubled_ms = 1000 * pick(4, 10);
  shape.machine_lost = shape.servers > static_cast<int>(shape.replication) &&
                       shape.replication > 1 && pick(1, 2) == 1;
  Faults& faults = shape.faults;
  faults.loss = maybe(2, 0.12);
  faults.doubling = maybe(2, 0.15);
  faults.long_delay = maybe(2, 0.15);
  faults.full_disk = maybe(4, 0.1);
  faults.crash_second = maybe(2, 0.4);
  faults.power_cut_second = maybe(2, 0.3);
  faults.blackout_second = maybe(4, 0.4);
  faults.stall_second = maybe(3, 0.4);
  faults.cut_second = maybe(2, 1.2);
  faults.late_map_second = maybe(3, 0.6);
  faults.failed_disk_second = maybe(5, 0.15);
  faults.metaserver_crash_second = maybe(2, 0.6);
  faults.crash_in_commit = maybe(4, 0.04);
  faults.full_metaserver_second = maybe(6, 0.3);
  faults.operation_second = maybe(2, 1.5);
  faults.fence_second = maybe(3, 0.8);
  faults.unlink_second = maybe(3, 0.3);
  return shape;
}

}  // namespace penstock::simulation
