#include "metaserver/cluster/rebalance_plan.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>

#include "common/split_mix.h"
#include "metaserver/cluster/group_placement.h"
#include "metaserver/cluster/surplus.h"

namespace penstock::metaserver {
namespace {

constexpr size_t kMaxPairs = 32;   // of targets that are looked at for one move, of each end
constexpr size_t kMaxGroups = 64;  // fitting ones, of which the best is taken

// A target as it will be when everything on its way has arrived.
struct Side {
  TargetId id;
  const TargetFacts* facts = nullptr;
  double quota = 0;  // of groups, by its size
  double held = 0;   // groups
  double used_bytes = 0;
  double bytes_each = 0;  // of a group
  uint32_t coming = 0;    // groups on their way
  uint32_t going = 0;
  std::vector<GroupId> movable;

  double used() const { return used_with(0); }
  double used_with(double bytes) const { return (used_bytes + bytes) / facts->usable; }
  double excess() const { return held - quota; }
};

class Rebalancer {
 public:
  Rebalancer(const RebalanceSources& from, const RebalanceLimits& limits)
      : from_(from), limits_(limits) {
    AddSides();
    AddQuotas();
    for (const auto& [id, group] : from_.members.groups()) Count(group);
    // Groups that are large for their disks cannot be shared out more finely than this.
    threshold_ = from_.threshold;
    for (const Side& side : sides_) {
      threshold_ = std::max(threshold_, 1.5 * side.bytes_each / side.facts->usable);
    }
  }

  std::vector<PlannedMove> Run() {
    while (moves_.size() < limits_.moves && (MoveByUse() || MoveByGroups())) {
    }
    return std::move(moves_);
  }

 private:
  void AddSides() {
    for (const auto& [id, facts] : from_.facts) {
      if (!Rebalances(facts)) continue;
      Side side{.id = id, .facts = &facts};
      side.used_bytes = static_cast<double>(facts.stored_bytes);
      side.bytes_each = static_cast<double>(facts.bytes_each());
      side.coming = facts.syncing;
      sides_.push_back(std::move(side));
    }
    std::sort(sides_.begin(), sides_.end(),
              [](const Side& a, const Side& b) { return a.id < b.id; });
    for (size_t i = 0; i < sides_.size(); ++i) index_[sides_[i].id] = i;
  }

  void AddQuotas() {
    std::vector<PlaceShare> shares;
    for (const Side& side : sides_) shares.push_back({side.facts->domain, side.facts->size});
    double groups = 0;
    double places = 0;
    for (const auto& [id, group] : from_.members.groups()) {
      groups += 1;
      places += GoalOf(from_.classes, id);
    }
    const std::vector<double> quotas = ShareOutPlaces(shares, groups, places);
    for (size_t i = 0; i < sides_.size(); ++i) sides_[i].quota = quotas[i];
  }

  Side* Find(TargetId target) {
    auto found = index_.find(target);
    return found == index_.end() ? nullptr : &sides_[found->second];
  }

  void Count(const Membership& group) {
    const bool movable =
        IsWhole(group, GoalOf(from_.classes, group.id), from_.facts) && from_.may_move(group.id);
    const Side* source = Find(group.members.front().target);
    for (const GroupMember& member : group.members) {
      Side* side = Find(member.target);
      if (side == nullptr) continue;
      if (member.target == group.leaving) {
        ++side->going;
        side->used_bytes -= side->bytes_each;
        continue;
      }
      side->held += 1;
      if (member.state == wire::MEMBER_SYNCING && source != nullptr) {
        side->used_bytes += source->bytes_each;
      }
      if (movable) side->movable.push_back(group.id);
      for (const GroupMember& other : group.members) {
        if (other.target < member.target) ++pairs_[{other.target, member.target}];
      }
    }
    for (TargetId left : group.Left()) {  // its chunks will be dropped
      if (Side* side = Find(left)) side->used_bytes -= side->bytes_each;
    }
  }

  std::vector<Side*> Sorted(double (Side::*by)() const) {
    std::vector<Side*> sorted;
    for (Side& side : sides_) sorted.push_back(&side);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](const Side* a, const Side* b) { return (a->*by)() > (b->*by)(); });
    return sorted;
  }

  bool MoveByUse() {
    const std::vector<Side*> sorted = Sorted(&Side::used);
    if (sorted.size() < 2) return false;
    const double most = sorted.front()->used();
    const double least = sorted.back()->used();
    if (most - least <= threshold_) return false;
    return MoveSome(sorted, [&](const Side& from, const Side& to) {
      const bool at_an_end = from.used() - least > threshold_ || most - to.used() > threshold_;
      return at_an_end && from.facts->disk != to.facts->disk &&
             to.used_with(from.bytes_each) <= from.used_with(-from.bytes_each);
    });
  }

  bool MoveByGroups() {
    const std::vector<Side*> by_use = Sorted(&Side::used);
    const std::vector<Side*> sorted = Sorted(&Side::excess);
    if (sorted.size() < 2) return false;
    const double most = by_use.front()->used();
    const double least = by_use.back()->used();
    const auto tolerance = [&](const Side& side) {
      return std::max(1.0, threshold_ / 2 * side.quota);
    };
    return MoveSome(sorted, [&](const Side& from, const Side& to) {
      const bool at_an_end = from.excess() > tolerance(from) || to.excess() < -tolerance(to);
      if (!at_an_end || from.excess() - to.excess() <= 1 + 1e-9) return false;
      if (from.facts->disk == to.facts->disk) return true;
      // Or the two measures would move groups to and fro.
      if (to.used_with(from.bytes_each) > from.used() + threshold_ / 5) return false;
      return to.used_with(from.bytes_each) - least <= threshold_ &&
             most - from.used_with(-from.bytes_each) <= threshold_;
    });
  }

  // Makes one move from the front to the back of `sorted` of which `good` approves.
  bool MoveSome(const std::vector<Side*>& sorted,
                absl::FunctionRef<bool(const Side& from, const Side& to)> good) {
    const size_t reach = std::min(sorted.size(), kMaxPairs);
    for (size_t i = 0; i < reach; ++i) {
      Side& from = *sorted[i];
      if (from.going >= limits_.per_target || from.movable.empty()) continue;
      for (size_t k = 0; k < reach; ++k) {
        Side& to = *sorted[sorted.size() - 1 - k];
        if (&from == &to || to.coming >= limits_.per_target) continue;
        if (!good(from, to) || to.used_with(from.bytes_each) > 1 - kNearlyFull) continue;
        // Files of others fill its disk, too.
        if (!to.facts->HasRoom(static_cast<uint64_t>(from.bytes_each), to.coming)) continue;
        if (MoveOne(from, to)) return true;
      }
    }
    return false;
  }

  bool MoveOne(Side& from, Side& to) {
    if (never_.contains({from.id, to.id})) return false;
    const std::optional<size_t> best = BestGroup(from, to);
    if (!best) {
      never_.insert({from.id, to.id});  // a group is moved once, so there come no others
      return false;
    }
    const GroupId id = from.movable[*best];
    moves_.push_back({id, from.id, to.id, static_cast<uint64_t>(from.bytes_each)});
    from.held -= 1;
    ++from.going;
    from.used_bytes -= from.bytes_each;
    to.held += 1;
    ++to.coming;
    to.used_bytes += from.bytes_each;
    for (const GroupMember& member : from_.members.Find(id)->members) {
      if (member.target == from.id) continue;
      ++pairs_[std::minmax(member.target, to.id)];
    }
    moved_.insert(id);
    from.movable.erase(from.movable.begin() + static_cast<ptrdiff_t>(*best));
    return true;
  }

  // The one whose other members share the fewest groups with `to`.
  std::optional<size_t> BestGroup(const Side& from, const Side& to) const {
    std::optional<size_t> best;
    std::pair<uint32_t, uint64_t> best_score;
    size_t seen = 0;
    const size_t count = from.movable.size();
    const size_t start = SplitMix64(from_.seed ^ to.id.value() ^ moves_.size() << 20) % count;
    for (size_t i = 0; i < count && seen < kMaxGroups; ++i) {
      const size_t at = (start + i) % count;
      const GroupId id = from.movable[at];
      if (moved_.contains(id)) continue;
      const std::optional<uint32_t> together = Together(*from_.members.Find(id), from, to);
      if (!together) continue;
      ++seen;
      const std::pair<uint32_t, uint64_t> score{*together, SplitMix64(from_.seed ^ id.number)};
      if (!best || score < best_score) {
        best = at;
        best_score = score;
      }
    }
    return best;
  }

  // None: `to` may not join.
  std::optional<uint32_t> Together(const Membership& group, const Side& from,
                                   const Side& to) const {
    uint32_t together = 0;
    for (const GroupMember& member : group.members) {
      if (member.target == to.id) return std::nullopt;
      if (member.target == from.id) continue;
      auto facts = from_.facts.find(member.target);
      if (facts == from_.facts.end() || facts->second.domain == to.facts->domain) {
        return std::nullopt;
      }
      auto pair = pairs_.find(std::minmax(member.target, to.id));
      together += pair == pairs_.end() ? 0 : pair->second;
    }
    return together;
  }

  const RebalanceSources& from_;
  const RebalanceLimits limits_;
  double threshold_ = 0;
  std::vector<Side> sides_;
  absl::flat_hash_map<TargetId, size_t> index_;
  absl::flat_hash_map<std::pair<TargetId, TargetId>, uint32_t> pairs_;  // groups in common
  absl::flat_hash_set<std::pair<TargetId, TargetId>> never_;
  absl::flat_hash_set<GroupId> moved_;
  std::vector<PlannedMove> moves_;
};

}  // namespace

bool Rebalances(const TargetFacts& facts) {
  return facts.serving() && !facts.draining && facts.usable > 0;
}

std::vector<PlannedMove> PlanRebalance(const RebalanceSources& sources,
                                       const RebalanceLimits& limits) {
  return Rebalancer(sources, limits).Run();
}

}  // namespace penstock::metaserver
