// Runs one case: so many threads, each with one exchange in flight, for so long.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>

#include "bench/transport/exchange.h"
#include "bench/transport/server_process.h"

namespace penstock::bench {

struct LoadCase {
  ExchangeSize size;
  int in_flight = 1;
  absl::Duration warm_up = absl::Milliseconds(200);  // not counted
  absl::Duration duration = absl::Seconds(2);
};

struct LoadResult {
  uint64_t calls = 0;
  absl::Duration took;
  absl::Duration client_processor;
  absl::Duration server_processor;
  absl::Duration median;
  absl::Duration p99;
};

// The first error of any thread ends the case.
absl::StatusOr<LoadResult> RunLoad(ExchangeClient& client, const ServerProcess& server,
                                   const LoadCase& load);

}  // namespace penstock::bench
