#include "metaserver/cluster/spare_targets.h"

#include <algorithm>

#include "common/split_mix.h"

namespace penstock::metaserver {

SpareTargets::SpareTargets(const TargetFactsMap& facts, Rules rules)
    : facts_(facts), rules_(rules) {
  for (const auto& [target, known] : facts) Put(target, known);
}

void SpareTargets::Put(TargetId target, const TargetFacts& facts) {
  if (!facts.serving() || facts.draining || facts.syncing >= rules_.repairs_per_target) return;
  const double size = static_cast<double>(std::max<uint64_t>(facts.capacity_bytes, 1));
  const Rank rank{(facts.groups + 1.0) / size, SplitMix64(rules_.seed ^ target.value()), target};
  ranks_.insert(rank);
  rank_of_[target] = rank;
}

void SpareTargets::Joined(TargetId target, const TargetFacts& facts) {
  if (auto known = rank_of_.find(target); known != rank_of_.end()) {
    ranks_.erase(known->second);
    rank_of_.erase(known);
  }
  Put(target, facts);
}

std::optional<TargetId> SpareTargets::Pick(
    absl::FunctionRef<bool(TargetId target, const TargetFacts& facts)> fits) const {
  for (const Rank& rank : ranks_) {
    if (fits(rank.target, facts_.at(rank.target))) return rank.target;
  }
  return std::nullopt;
}

}  // namespace penstock::metaserver
