// ScrubPace says how long to wait before the next chunk is read: below a rate, and out of the way
// of other work on the disk. Pure.
#pragma once

#include <absl/time/time.h>

#include <algorithm>
#include <cstdint>

#include "common/units.h"

namespace penstock::chunkserver {

class ScrubPace {
 public:
  static constexpr uint64_t kLeastBytesPerSecond = 64 * kKiB;  // a nearly empty disk's
  // Beside other work the disk is at most this part of the time the scrubber's.
  static constexpr double kShareBesideOthers = 0.2;

  // The rate at which `bytes` are read within `days`, with some time to spare.
  static uint64_t RateFor(uint64_t bytes, absl::Duration days) {
    const double seconds = 0.9 * absl::ToDoubleSeconds(days);
    return std::max(kLeastBytesPerSecond,
                    static_cast<uint64_t>(static_cast<double>(bytes) / seconds));
  }

  struct Step {
    uint64_t bytes = 0;  // of the chunk that was read
    absl::Duration took;
    bool others = false;            // somebody else used the disk meanwhile
    uint64_t bytes_per_second = 0;  // 0: no cap
  };
  // When the next chunk may be read; `now`: the last one is done.
  absl::Duration Next(const Step& step, absl::Duration now) {
    absl::Duration wait;
    if (step.bytes_per_second > 0) {
      wait = absl::Seconds(static_cast<double>(step.bytes) /
                           static_cast<double>(step.bytes_per_second)) -
             step.took;
    }
    if (step.others) wait = std::max(wait, step.took * (1 / kShareBesideOthers - 1));
    return now + std::max(wait, absl::ZeroDuration());
  }
};

}  // namespace penstock::chunkserver
