// ScrubState is how far the reading of one target's chunks is and what it found: scrub.json in the
// target's directory (docs/formats/scrub_json.md). A plain value.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "proto/cluster.pb.h"

namespace penstock::chunkserver {

struct ScrubFinding {
  ChunkKey key;          // without a content: not a chunk, but the index
  ChunkVersion version;  // that was damaged
  wire::ScrubOutcome outcome = wire::SCRUB_DAMAGED;
  std::string what;
  int64_t found_s = 0;
  bool open() const { return outcome == wire::SCRUB_DAMAGED || outcome == wire::SCRUB_LOST; }
};

struct ScrubState {
  static constexpr size_t kMostFindings = 1000;  // older ones are dropped

  bool running = false;
  uint64_t order = 0;                 // the last that was taken
  uint64_t order_done = 0;            // the last whose pass came to its end
  uint64_t max_bytes_per_second = 0;  // of the order; 0: no cap
  bool ordered = false;               // the pass was ordered: it does not take its days
  uint64_t passes = 0;
  int64_t started_s = 0;
  int64_t finished_s = 0;
  bool index_checked = false;        // in this pass
  std::optional<ChunkKey> position;  // the last chunk that was read
  uint64_t chunks_done = 0;
  uint64_t bytes_done = 0;
  uint64_t found = 0;                  // in this pass
  std::vector<ScrubFinding> findings;  // oldest first; of earlier passes only while they are open

  void Begin(int64_t now_s);
  void End(int64_t now_s);
  void Add(ScrubFinding finding);
  std::string ToJson() const;
  // FAILED_PRECONDITION: a format that this program does not know. DATA_LOSS: no state.
  static absl::StatusOr<ScrubState> FromJson(std::string_view text);
};

// For the heartbeat; `total`: what the target holds.
struct ScrubTotal {
  uint64_t chunks = 0;
  uint64_t bytes = 0;
};
wire::ScrubProgress ProgressOf(TargetId target, const ScrubState& state, const ScrubTotal& total);

}  // namespace penstock::chunkserver
