#include "metaserver/cluster/drain_plan.h"

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "metaserver/cluster/surplus.h"

namespace penstock::metaserver {
namespace {

constexpr size_t kMaxFailures = 4096;  // groups that find nobody now, before the tick gives up
constexpr size_t kMaxSearches = 256;   // for whether anybody ever could

TargetId DrainingMember(const Membership& group, const GroupJoins& joins) {
  for (const GroupMember& member : group.members) {
    if (joins.Facts(member.target).draining) return member.target;
  }
  return TargetId();
}

// Draws up where the groups would go, one after the other, as if nothing were on its way.
class Forecast {
 public:
  Forecast(const DrainRequest& request, const StorageClasses& classes, const TargetFactsMap& facts)
      : request_(request), classes_(classes), facts_(facts) {
    for (const auto& [id, known] : facts) groups_[id] = known.groups;
  }

  // Also the places of those that are being drained already: room is shared out once.
  void Place(Membership group) {
    const uint32_t goal = GoalOf(classes_, group.id);
    // Where somebody has been given its place already it only has to leave.
    for (size_t i = 0; i < group.members.size() && group.members.size() > goal;) {
      if (Leaves(group.members[i].target) || group.members[i].target == group.leaving) {
        group.members.erase(group.members.begin() + static_cast<ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
    for (GroupMember& member : group.members) {
      if (Leaves(member.target)) PlaceOne(group, member, goal);
    }
    // It has left already, and its place waits for it.
    const std::vector<TargetId> left = group.Left();
    if (group.members.size() < goal && std::count(left.begin(), left.end(), request_.target) > 0) {
      group.members.push_back({request_.target, wire::MEMBER_SYNCING});
      PlaceOne(group, group.members.back(), goal);
    }
  }

  absl::StatusOr<std::vector<PlannedMove>> Take() {
    const std::string name = absl::StrCat("target ", request_.target.value());
    if (without_domain_ > 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          name, " cannot be drained: for ", without_domain_, " of its groups there is no other ",
          "online target in a failure domain (server, or rack) of its own, and ", most_copies_,
          " copies need ", most_copies_, " of them: start a chunkserver on another machine first"));
    }
    if (missing_bytes_ > 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(name, " cannot be drained: the targets that could take its groups lack ",
                       missing_bytes_, " bytes (", missing_bytes_ >> 20, " MiB) of room, with ",
                       static_cast<int>(kNearlyFull * 100),
                       " % of each disk kept free: delete files, or add a target first"));
    }
    return std::move(moves_);
  }

 private:
  bool Leaves(TargetId target) const {
    auto found = facts_.find(target);
    return target == request_.target || (found != facts_.end() && found->second.draining);
  }

  void PlaceOne(const Membership& group, GroupMember& member, uint32_t goal) {
    const TargetFacts& leaver = facts_.at(member.target);
    // What one that is away stores is not always known.
    const auto first = facts_.find(group.members.front().target);
    const bool ask_first = leaver.stored_bytes == 0 && first != facts_.end();
    const uint64_t bytes = ask_first ? first->second.bytes_each() : leaver.bytes_each();
    const TargetId wanted = member.target == request_.target ? request_.onto : leaver.onto;
    std::optional<TargetId> best = wanted;
    if (!best->valid() || !MayTake(group, *best, member.target) || !HasRoom(*best, bytes)) {
      best = Best(group, member.target, bytes);
    }
    if (best) {
      if (member.target == request_.target) {
        moves_.push_back({group.id, request_.target, *best, bytes});
      }
      ++groups_[*best];
      coming_[facts_.at(*best).disk] += bytes;
      member.target = *best;
    } else if (AnyDomain(group, member.target)) {
      missing_bytes_ += std::max<uint64_t>(bytes, 1);
    } else {
      ++without_domain_;
      most_copies_ = std::max(most_copies_, goal);
    }
  }

  bool MayTake(const Membership& group, TargetId target, TargetId instead_of) const {
    auto found = facts_.find(target);
    if (Leaves(target) || found == facts_.end() || !found->second.serving()) return false;
    const TargetFacts& facts = found->second;
    return std::none_of(group.members.begin(), group.members.end(), [&](const GroupMember& m) {
      if (m.target == target) return true;
      auto other = facts_.find(m.target);
      return m.target != instead_of && other != facts_.end() &&
             other->second.domain == facts.domain;
    });
  }
  bool HasRoom(TargetId target, uint64_t bytes) const {
    const TargetFacts& facts = facts_.at(target);
    auto coming = coming_.find(facts.disk);
    const double needed =
        static_cast<double>(bytes + (coming == coming_.end() ? 0 : coming->second)) +
        kNearlyFull * static_cast<double>(facts.capacity_bytes);
    return static_cast<double>(facts.free_bytes) >= needed;
  }
  std::optional<TargetId> Best(const Membership& group, TargetId instead_of, uint64_t bytes) const {
    std::optional<std::pair<double, TargetId>> best;
    for (const auto& [id, facts] : facts_) {
      if (!MayTake(group, id, instead_of) || !HasRoom(id, bytes)) continue;
      const std::pair load{(groups_.at(id) + 1.0) / std::max(facts.size, 1.0), id};
      if (!best || load < *best) best = load;
    }
    if (!best) return std::nullopt;
    return best->second;
  }
  bool AnyDomain(const Membership& group, TargetId instead_of) const {
    return std::any_of(facts_.begin(), facts_.end(),
                       [&](const auto& entry) { return MayTake(group, entry.first, instead_of); });
  }

  const DrainRequest request_;
  const StorageClasses& classes_;
  const TargetFactsMap& facts_;
  absl::flat_hash_map<TargetId, uint32_t> groups_;
  absl::flat_hash_map<std::string, uint64_t> coming_;  // bytes, by disk
  std::vector<PlannedMove> moves_;
  uint64_t missing_bytes_ = 0;
  uint32_t without_domain_ = 0;
  uint32_t most_copies_ = 0;
};

}  // namespace

uint32_t GoalOf(const StorageClasses& classes, GroupId id) {
  auto found = classes.find(id.storage_class);
  return found == classes.end() ? 0 : found->second.storage_class().replication();
}

DrainStep PlanDrains(const MemberTable& members, const StorageClasses& classes, GroupJoins& joins) {
  DrainStep step;
  const auto& all = joins.all_facts();
  if (std::none_of(all.begin(), all.end(), [](const auto& e) { return e.second.draining; })) {
    return step;
  }
  size_t failures = 0;
  size_t searches = 0;
  for (const auto& [id, group] : members.groups()) {
    if (step.moved >= kMaxJoinsPerTick || failures >= kMaxFailures) break;
    const TargetId leaver = DrainingMember(group, joins);
    if (!leaver.valid() || !joins.draft().IsAsBefore(id)) continue;
    if (joins.Facts(leaver).gone()) {  // its last copy: it waits for it
      ++step.stuck[leaver];
      continue;
    }
    // One whose disk reports errors can still be read from.
    if (!IsWhole(group, GoalOf(classes, id), all, leaver)) continue;
    const GroupJoins::Search search{leaver, joins.Facts(leaver).onto, true};
    const std::optional<TargetId> to = joins.Pick(group, search);
    if (to && joins.Add(id, *to)) {
      ++step.moved;
      continue;
    }
    ++failures;
    if (++searches <= kMaxSearches && !joins.AnyCould(group, leaver)) ++step.stuck[leaver];
  }
  return step;
}

absl::StatusOr<std::vector<PlannedMove>> ForecastDrain(const DrainRequest& request,
                                                       const MemberTable& members,
                                                       const StorageClasses& classes,
                                                       const TargetFactsMap& facts) {
  if (!facts.contains(request.target)) {
    return absl::NotFoundError(absl::StrCat("there is no target ", request.target.value(),
                                            "; `penstock target ls` lists them"));
  }
  Forecast forecast(request, classes, facts);
  for (const auto& [id, group] : members.groups()) forecast.Place(group);
  return forecast.Take();
}

}  // namespace penstock::metaserver
