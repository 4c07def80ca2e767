// SpareTargets says which target takes a lost one's place: among those that serve, are not
// draining and have not yet their fill of syncing groups, the one with the fewest groups for its
// size. Deterministic by seed.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <optional>
#include <set>
#include <tuple>

#include "metaserver/cluster/target_facts.h"

namespace penstock::metaserver {

class SpareTargets {
 public:
  struct Rules {
    uint64_t seed = 0;
    uint32_t repairs_per_target = 0;
  };
  SpareTargets(const TargetFactsMap& facts, Rules rules);

  std::optional<TargetId> Pick(
      absl::FunctionRef<bool(TargetId target, const TargetFacts& facts)> fits) const;
  // A group was given to the target; `facts` as they are with it.
  void Joined(TargetId target, const TargetFacts& facts);

 private:
  struct Rank {
    double load = 0;  // groups for its size, with one more
    uint64_t lot = 0;
    TargetId target;
    friend auto operator<=>(const Rank&, const Rank&) = default;
  };
  void Put(TargetId target, const TargetFacts& facts);

  const TargetFactsMap& facts_;
  const Rules rules_;
  std::set<Rank> ranks_;  // best first
  absl::flat_hash_map<TargetId, Rank> rank_of_;
};

}  // namespace penstock::metaserver
