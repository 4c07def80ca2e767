#include "metaserver/cluster/group_placement.h"

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>

#include "common/split_mix.h"
#include "common/status.h"

namespace penstock::metaserver {
namespace {

struct Candidate {
  TargetId id;
  size_t domain = 0;
  double quota = 0;     // places over all groups
  double assigned = 0;  // places so far
  double heads = 0;
};

class Placer {
 public:
  Placer(const PlacementRequest& request, std::vector<Candidate> candidates, size_t domains)
      : request_(request),
        candidates_(std::move(candidates)),
        domain_quota_(domains, 0),
        domain_assigned_(domains, 0) {
    for (const Candidate& c : candidates_) domain_quota_[c.domain] += c.quota;
  }

  std::vector<std::vector<size_t>> Run() {
    std::vector<std::vector<size_t>> groups;
    for (uint32_t g = 0; g < request_.group_count; ++g) groups.push_back(Fill(g));
    BalanceHeads(groups);
    return groups;
  }

 private:
  double Due(double quota, uint32_t group) const {
    return quota * (group + 1) / request_.group_count;
  }
  double Deficit(const Candidate& c, uint32_t group) const {
    return Due(c.quota, group) - c.assigned;
  }

  std::vector<size_t> Fill(uint32_t group) {
    std::vector<size_t> members;
    while (members.size() < request_.replication) {
      const size_t pick = Pick(group, members);
      for (size_t other : members) ++pairs_[PairKey(pick, other)];
      candidates_[pick].assigned += 1;
      domain_assigned_[candidates_[pick].domain] += 1;
      members.push_back(pick);
    }
    return members;
  }

  // Among those most behind their share, the one that was together least with these members.
  size_t Pick(uint32_t group, const std::vector<size_t>& members) const {
    auto eligible = [&](const Candidate& c) {
      return std::none_of(members.begin(), members.end(),
                          [&](size_t m) { return candidates_[m].domain == c.domain; });
    };
    // A domain that must stand in (nearly) every group goes first, or it could not catch up.
    double most = -1e18;
    bool urgent = false;
    for (const Candidate& c : candidates_) {
      if (!eligible(c)) continue;
      urgent |= Urgent(c, group);
    }
    for (const Candidate& c : candidates_) {
      if (eligible(c) && urgent == Urgent(c, group)) most = std::max(most, Deficit(c, group));
    }
    const double window = members.empty() ? 0.0 : 1.0;
    size_t best = candidates_.size();
    std::pair<double, uint64_t> best_score;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      const Candidate& c = candidates_[i];
      if (!eligible(c) || urgent != Urgent(c, group)) continue;
      if (Deficit(c, group) < most - window - 1e-9) continue;
      double together = 0;
      for (size_t m : members) {
        auto it = pairs_.find(PairKey(i, m));
        together += it == pairs_.end() ? 0 : it->second / c.quota;
      }
      const std::pair<double, uint64_t> score{
          together, SplitMix64(SplitMix64(request_.seed ^ group) ^ c.id.value())};
      if (best == candidates_.size() || score < best_score) {
        best = i;
        best_score = score;
      }
    }
    INVARIANT(best < candidates_.size());
    return best;
  }

  bool Urgent(const Candidate& c, uint32_t group) const {
    const double groups_left = request_.group_count - group;
    return domain_quota_[c.domain] - domain_assigned_[c.domain] > groups_left - 0.5;
  }

  // Greedy first, then exchanges while they even the heads out.
  void BalanceHeads(std::vector<std::vector<size_t>>& groups) {
    auto load = [&](size_t i, double extra) {
      return (candidates_[i].heads + extra) / std::max(candidates_[i].quota, 1e-9);
    };
    for (auto& members : groups) {
      auto head = std::min_element(members.begin(), members.end(),
                                   [&](size_t a, size_t b) { return load(a, 1) < load(b, 1); });
      std::iter_swap(members.begin(), head);
      candidates_[members[0]].heads += 1;
    }
    for (int pass = 0; pass < 20; ++pass) {
      bool moved = false;
      for (auto& members : groups) {
        for (size_t k = 1; k < members.size(); ++k) {
          if (load(members[0], 0) <= load(members[k], 1) + 1e-12) continue;
          candidates_[members[0]].heads -= 1;
          candidates_[members[k]].heads += 1;
          std::swap(members[0], members[k]);
          moved = true;
        }
      }
      if (!moved) break;
    }
  }

  static uint64_t PairKey(size_t a, size_t b) {
    return (uint64_t{std::min(a, b)} << 32) | std::max(a, b);
  }

  const PlacementRequest& request_;
  std::vector<Candidate> candidates_;
  std::vector<double> domain_quota_;
  std::vector<double> domain_assigned_;
  absl::flat_hash_map<uint64_t, double> pairs_;
};

}  // namespace

std::vector<double> ShareOutPlaces(const std::vector<PlaceShare>& targets, double groups,
                                   double places) {
  std::map<std::string, double> weights;
  for (const PlaceShare& target : targets) weights[target.domain] += std::max(target.weight, 1.0);
  std::map<std::string, double> full;  // domains that stand in every group
  for (bool again = true; again;) {
    again = false;
    double open = 0;
    for (const auto& [domain, weight] : weights) open += full.contains(domain) ? 0 : weight;
    const double left = places - groups * static_cast<double>(full.size());
    for (const auto& [domain, weight] : weights) {
      if (full.contains(domain) || left * weight / open < groups) continue;
      full[domain] = groups;
      again = true;
    }
    if (again) continue;
    for (auto& [domain, weight] : weights) {
      if (!full.contains(domain)) full[domain] = left * weight / open;
    }
  }
  std::vector<double> shares;
  for (const PlaceShare& target : targets) {
    shares.push_back(full[target.domain] * std::max(target.weight, 1.0) / weights[target.domain]);
  }
  return shares;
}

std::string FailureDomain(const PlacementTarget& target) {
  return target.rack.empty() ? absl::StrCat("server ", target.server.value())
                             : absl::StrCat("rack ", target.rack);
}

absl::StatusOr<std::vector<std::vector<TargetId>>> PlaceGroups(const PlacementRequest& request) {
  if (request.replication == 0 || request.group_count == 0) {
    return absl::InvalidArgumentError("replication and group count must be at least 1");
  }
  std::map<std::string, size_t> domains;
  std::vector<Candidate> candidates;
  for (const PlacementTarget& target : request.targets) {
    const size_t domain = domains.emplace(FailureDomain(target), domains.size()).first->second;
    candidates.push_back({.id = target.target, .domain = domain});
  }
  if (domains.size() < request.replication) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.replication, " copies need ", request.replication,
                     " failure domains (servers, or racks where --rack is set), only ",
                     domains.size(), " registered"));
  }
  std::map<std::string, double> sharers;
  for (const PlacementTarget& target : request.targets) sharers[target.disk] += 1;
  std::vector<PlaceShare> shares;
  for (const PlacementTarget& target : request.targets) {
    const double targets = target.disk.empty() ? 1 : sharers[target.disk];
    shares.push_back({FailureDomain(target), static_cast<double>(target.capacity_bytes) / targets});
  }
  const std::vector<double> quotas = ShareOutPlaces(
      shares, request.group_count, double{1} * request.group_count * request.replication);
  for (size_t i = 0; i < candidates.size(); ++i) candidates[i].quota = quotas[i];
  std::vector<std::vector<TargetId>> groups;
  for (const auto& members : Placer(request, std::move(candidates), domains.size()).Run()) {
    std::vector<TargetId>& group = groups.emplace_back();
    for (size_t i : members) group.push_back(request.targets[i].target);
  }
  return groups;
}

}  // namespace penstock::metaserver
