// OperationTimes counts how long requests of the kernel took, by what they ask. Thread-safe.
#pragma once

#include <linux/fuse.h>

#include <array>
#include <string>
#include <vector>

#include "common/latency_histogram.h"
#include "common/metrics_server.h"

namespace penstock::client {

class OperationTimes {
 public:
  // nullptr: nobody counts it.
  LatencyHistogram* Of(uint32_t opcode) {
    return opcode < times_.size() ? &times_[opcode] : nullptr;
  }
  // Those that came at least once.
  void AddTo(std::vector<Metric>* metrics) const;

 private:
  std::array<LatencyHistogram, 64> times_;  // by FUSE opcode
};

}  // namespace penstock::client
