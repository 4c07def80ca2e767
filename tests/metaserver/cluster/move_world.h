// A cluster for the planners alone, by seed: servers with targets in failure domains, groups with
// bytes, and chunkservers that do at once or a little later what the map says. Nothing fails.
#pragma once

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/units.h"
#include "metaserver/cluster/group_placement.h"
#include "metaserver/cluster/repair_plan.h"

namespace penstock::metaserver {

struct MoveShape {
  uint32_t replication = 2;
  int servers = 4;      // with groups
  int new_servers = 0;  // registered after the groups were formed
  int targets_each = 1;
  int racks = 0;  // 0: each server is a failure domain
  bool equal_sizes = true;
  double fill = 0.4;  // of the targets' space, by chunks
  uint32_t groups = 64;
};

class MoveWorld {
 public:
  MoveWorld(uint64_t seed, const MoveShape& shape) : random_(seed), shape_(shape) {
    for (int n = 1; n <= shape.servers + shape.new_servers; ++n) AddServer(n);
    options.group_count = shape.groups;
    classes[1].mutable_storage_class()->set_replication(shape.replication);
    Form();
  }

  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  std::vector<TargetId> Targets() const {
    std::vector<TargetId> all;
    for (const auto& [id, target] : inventory.targets) all.push_back(id);
    return all;
  }
  TargetFactsMap Facts() {
    Measure();
    return GatherTargetFacts(inventory, members, now_, options.offline_after);
  }

  // One tick of the metaserver, and what the chunkservers do until the next one.
  RepairPlan Tick() {
    now_ += absl::Milliseconds(200);
    Measure();
    RepairPlan plan = PlanRepair({inventory, members, classes, notes, options, now_, wish});
    if (plan.rebalance.done) wish.running = false;
    wish.next_move = plan.rebalance.next_move;
    moved_bytes += plan.rebalance.moved_bytes;
    if (!plan.groups.empty()) ++version_;
    for (const Membership& group : plan.groups) Install(group);
    for (const wire::DropGroup& drop : plan.drops) {
      const GroupId id{drop.storage_class(), drop.group()};
      if (members.Find(id)->epoch != drop.epoch()) continue;
      notes[id].dropping.insert(TargetId(drop.target_id()));
      notes[id].dropped.insert(TargetId(drop.target_id()));
      copies_[id].erase(TargetId(drop.target_id()));
    }
    for (auto& [id, server] : inventory.servers) {
      if (Pick(3) != 0) server.map_version = version_;
    }
    for (const auto& [id, group] : members.groups()) Sync(id, group);
    return plan;
  }

  // What holds at every moment while nothing fails.
  void Check() {
    const TargetFactsMap facts = Facts();
    for (const auto& [id, group] : members.groups()) {
      INFO("group " << id.number << " epoch " << group.epoch);
      REQUIRE(CheckMembership(group) == "");
      REQUIRE(group.in_sync() >= shape_.replication);
      REQUIRE(group.members.size() <= shape_.replication + 1);
      std::set<std::string> domains;
      size_t staying = 0;
      const bool extra = group.members.size() > shape_.replication;
      for (const GroupMember& member : group.members) {
        const TargetFacts& of = facts.at(member.target);
        if (extra && (member.target == group.leaving || of.draining)) continue;
        ++staying;
        domains.insert(of.domain);
      }
      REQUIRE(domains.size() == staying);
    }
  }

  bool AtRest() const {
    return std::all_of(members.groups().begin(), members.groups().end(), [&](const auto& entry) {
      const Membership& group = entry.second;
      return group.members.size() == shape_.replication && !group.has_syncing() &&
             group.former.empty() && group.confirmed_epoch == group.epoch;
    });
  }
  std::map<TargetId, int> Held() const {
    std::map<TargetId, int> held;
    for (const auto& [id, target] : inventory.targets) held[id] = 0;
    for (const auto& [id, group] : members.groups()) {
      for (const GroupMember& member : group.members) ++held[member.target];
    }
    return held;
  }
  std::map<TargetId, int> Heads() const {
    std::map<TargetId, int> heads;
    for (const auto& [id, group] : members.groups()) ++heads[group.members.front().target];
    return heads;
  }

  Inventory inventory;
  MemberTable members;
  StorageClasses classes;
  GroupNotesMap notes;
  ClusterOptions options;
  RebalanceWish wish;
  uint64_t moved_bytes = 0;
  std::map<TargetId, uint64_t> foreign;  // bytes that others keep on the disk

 private:
  void AddServer(int n) {
    const auto number = static_cast<uint32_t>(n);
    ServerEntry& server = inventory.servers[ServerId(number)];
    server.record.mutable_server()->set_server_id(number);
    if (shape_.racks > 0) {
      server.record.mutable_server()->set_rack(absl::StrCat("rack", n % shape_.racks));
    }
    server.instance = "instance";
    for (int t = 0; t < shape_.targets_each; ++t) {
      const uint32_t id = ++last_target_;
      TargetEntry& target = inventory.targets[TargetId(id)];
      target.record.mutable_target()->set_target_id(id);
      target.record.mutable_target()->set_server_id(number);
      target.health.set_target_id(id);
      target.health.set_state(wire::TARGET_ONLINE);
      const auto gib = static_cast<uint64_t>(shape_.equal_sizes ? 100 : 60 + Pick(100));
      target.health.set_capacity_bytes(gib * kGiB);
      if (n > shape_.servers) continue;
      formed_.push_back(
          {TargetId(id), ServerId(number), server.record.server().rack(), gib * kGiB});
    }
  }
  void Form() {
    auto placed = PlaceGroups({formed_, shape_.groups, shape_.replication, 7});
    INFO(placed.status().ToString());
    REQUIRE(placed.ok());
    double space = 0;
    for (const PlacementTarget& target : formed_) {
      space += static_cast<double>(target.capacity_bytes);
    }
    const double each = space * shape_.fill / (shape_.groups * shape_.replication);
    for (uint32_t number = 0; number < placed->size(); ++number) {
      const GroupId id{1, number};
      bytes_[id] = static_cast<uint64_t>(each * (0.9 + 0.02 * Pick(10)));
      notes[id].published = version_;
      members.Install(MemberTable::NewGroup(id, (*placed)[number]));
      for (TargetId target : (*placed)[number]) copies_[id].insert(target);
    }
  }
  void Install(const Membership& group) {
    const Membership before = *members.Find(group.id);
    GroupNotes& note = notes[group.id];
    if (before.epoch != group.epoch) {
      note.published = version_;
      note.synced.clear();
      note.dropping.clear();
      note.dropped.clear();
    }
    members.Install(group);
  }
  void Sync(GroupId id, const Membership& group) {
    for (const GroupMember& member : group.members) {
      if (member.state != wire::MEMBER_SYNCING || Pick(2) != 0) continue;
      notes[id].synced.insert(member.target);
      copies_[id].insert(member.target);
    }
  }
  void Measure() {
    for (auto& [id, server] : inventory.servers) server.heard = now_;
    std::map<TargetId, uint64_t> stored;
    for (const auto& [id, holders] : copies_) {
      for (TargetId holder : holders) stored[holder] += bytes_[id];
    }
    for (auto& [id, target] : inventory.targets) {
      const uint64_t capacity = target.health.capacity_bytes();
      target.health.set_stored_bytes(stored[id]);
      target.health.set_free_bytes(capacity - std::min(capacity, stored[id] + foreign[id]));
    }
  }

  std::mt19937_64 random_;
  const MoveShape shape_;
  absl::Duration now_ = absl::Hours(1);
  uint64_t version_ = 1;
  uint32_t last_target_ = 0;
  std::vector<PlacementTarget> formed_;
  std::map<GroupId, uint64_t> bytes_;
  std::map<GroupId, std::set<TargetId>> copies_;  // chunks on disk, dropped ones not
};

}  // namespace penstock::metaserver
