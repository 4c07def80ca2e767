// What rebalancing begins at this moment: as much of the plan as its limits allow, when nothing
// more urgent is going on. Pure.
#pragma once

#include <absl/time/time.h>

#include <string>

#include "metaserver/cluster/rebalance_plan.h"

namespace penstock::metaserver {

inline constexpr double kUsualThreshold = 0.05;

// What `penstock rebalance` asks for.
struct RebalanceWish {
  bool running = false;
  double threshold = kUsualThreshold;  // of used parts of targets
  uint64_t max_bytes_per_second = 0;   // 0: no limit beside those of the chunkservers
  absl::Duration next_move;            // Clock::SinceBoot(): not before, for the rate's sake
};

struct RebalanceStep {
  size_t moved = 0;  // moves begun
  uint64_t moved_bytes = 0;
  absl::Duration next_move;
  bool done = false;      // nothing is left to move
  std::string waits_for;  // why it does nothing now
};

// Drafts the moves. `now` is of the clock of `wish.next_move`.
RebalanceStep StepRebalance(const RebalanceWish& wish, absl::Duration now,
                            const ClusterOptions& options, const MemberTable& members,
                            const StorageClasses& classes, GroupJoins& joins);

// "" or why rebalancing has to wait: repairs and drains go first, and a target that is away may
// come back.
std::string RebalanceWaitsFor(const MemberTable& members, const StorageClasses& classes,
                              const TargetFactsMap& facts);

struct UsedParts {
  double most = 0;
  double least = 0;
};
// Of the targets that rebalancing looks at.
UsedParts MeasureUsed(const TargetFactsMap& facts);

}  // namespace penstock::metaserver
