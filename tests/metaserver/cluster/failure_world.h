// A seeded cluster around a real ClusterState: servers fall silent, return, reboot and lose what
// was not synced, hear of maps late, report broken disks, and lie; the metaserver restarts; targets
// are drained and rebalanced meanwhile, also from one disk to another of the same server.
// Whatever happens, the last copy stays, what was acknowledged is on every in-sync member, and once
// all servers are well, every group reaches its goal, on as many servers.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/metaserver/cluster/repair_world.h"

namespace penstock::metaserver {

inline constexpr uint32_t kModelled = 4;  // groups with data; the others only have members
inline constexpr int kServers = 5;
inline constexpr int kTargetsEach = 2;  // targets 1 and 2 on server 1, and so on
inline constexpr uint32_t kTargets = kServers * kTargetsEach;

inline int ServerOf(uint32_t target) { return (static_cast<int>(target) - 1) / kTargetsEach + 1; }

struct Copy {
  std::set<int> data;
  std::set<int> synced;  // survives a reboot
};
struct Write {
  bool synced = false;
  // Members that acknowledged it, and neither rebooted nor were sent away or behind others since.
  std::set<uint32_t> holders;
};

class FailureWorld {
 public:
  explicit FailureWorld(uint64_t seed)
      : random_(seed),
        world_(kServers,
               {.replication = 2 + static_cast<uint32_t>(seed % 2),
                .initial_targets = kTargetsEach * (3 + static_cast<uint32_t>(seed % 3)),
                .repair_after = absl::Seconds(20),
                .repairs_per_target = 20},
               {}, kTargetsEach) {
    goal_ = static_cast<int>(2 + seed % 2);
    for (int n = 1; n <= kServers; ++n) Hear(n);
    Look();
  }

  void Step() {
    const int n = 1 + Pick(kServers);
    switch (Pick(20)) {
      case 0:
        world_[n].up = false;
        break;
      case 1:
      case 2:
        if (!world_[n].up) Start(n);
        break;
      case 3:
        Reboot(n);
        break;
      case 4:
        world_[n].hears_map = !world_[n].hears_map;
        break;
      case 5:
        SetState(PickTarget(n));
        break;
      case 6:
        Lie(n);
        break;
      case 7:
        if (Pick(4) == 0) RestartMetaserver();
        break;
      case 10:
      case 11:
        Operate(TargetId(PickTarget(n)));
        break;
      case 8:
      case 9:
        Round(absl::Milliseconds(500 + Pick(4000)));
        break;
      default:
        for (uint32_t group = 0; group < kModelled; ++group) MaybeWrite(group);
        Round(absl::Milliseconds(200));
        break;
    }
    Look();
  }

  // Whatever an operator may ask for; a refusal is fine.
  void Operate(TargetId target) {
    ClusterState& state = *world_.fixture.state;
    wire::DrainTargetRequest drain;
    drain.set_target_id(target.value());
    if (Pick(3) == 0) drain.set_onto(1 + static_cast<uint32_t>(Pick(kTargets)));
    if (Pick(3) == 0) drain.set_onto(PickTarget(ServerOf(target.value())));
    switch (Pick(5)) {
      case 0:
      case 1:
        state.DrainTarget(drain).status().IgnoreError();
        break;
      case 2:
        state.UndrainTarget(target).status().IgnoreError();
        break;
      case 3:
        REQUIRE(state.StartRebalance({}).ok());
        break;
      default:
        REQUIRE(state.StopRebalance().ok());
        break;
    }
  }

  // All servers are well and honest from now on.
  void Heal() {
    for (uint32_t target = 1; target <= kTargets; ++target) {
      REQUIRE(world_.fixture.state->UndrainTarget(TargetId(target)).ok());
    }
    for (int n = 1; n <= kServers; ++n) {
      world_[n].hears_map = true;
      world_[n].states.clear();
      if (!world_[n].up) Start(n);
    }
    for (int round = 0; round < 80; ++round) {
      Round(absl::Seconds(1));
      Look();
    }
    REQUIRE(!world_.fixture.state->View().rebalance.running());
    const wire::ClusterMap map = Map();
    for (const wire::MapGroup& group : map.groups()) {
      INFO("group " << group.number());
      REQUIRE(group.members_size() == goal_);
      std::set<int> servers;
      for (const wire::MapMember& member : group.members()) {
        REQUIRE(member.state() == wire::MEMBER_IN_SYNC);
        servers.insert(ServerOf(member.target_id()));
      }
      REQUIRE(static_cast<int>(servers.size()) == goal_);
    }
    for (const wire::GroupInfo& group : world_.fixture.state->View().groups) {
      REQUIRE(group.former().empty());  // everybody has dropped what he had to
    }
    REQUIRE(world_.fixture.state->View().repair.SerializeAsString().empty());
  }
  size_t acknowledged() const { return acknowledged_; }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  wire::ClusterMap Map() const { return world_.Map(); }
  Copy& CopyOf(uint32_t group, uint32_t target) { return copies_[{group, target}]; }
  const wire::MapGroup& View(int server, uint32_t group) {
    return taken_[server].groups(static_cast<int>(group));
  }
  uint32_t PickTarget(int server) {
    return static_cast<uint32_t>((server - 1) * kTargetsEach + 1 + Pick(kTargetsEach));
  }
  void SetState(uint32_t target) {
    const int n = ServerOf(target);
    world_[n].states[target] = Pick(3) != 0   ? wire::TARGET_ONLINE
                               : Pick(2) != 0 ? wire::TARGET_FAILED
                                              : wire::TARGET_ABSENT;
  }
  bool Works(uint32_t target) {
    const FakeServer& server = world_[ServerOf(target)];
    return server.up && server.StateOf(target) == wire::TARGET_ONLINE;
  }

  void Hear(int n) {
    if (world_[n].hears_map) taken_[n] = Map();
  }
  void Start(int n) {
    world_[n].Register();
    taken_[n] = Map();
  }
  void Reboot(int n) {
    for (uint32_t target : world_[n].targets()) {
      for (uint32_t group = 0; group < kModelled; ++group) {
        CopyOf(group, target).data = CopyOf(group, target).synced;
        for (auto& [id, write] : writes_[group]) write.holders.erase(target);
      }
    }
    world_[n].Reboot();
    taken_[n] = Map();
    rebooted_ = true;
  }
  void RestartMetaserver() {
    const std::string before = Map().SerializeAsString();
    world_.fixture.Reopen();
    REQUIRE(Map().SerializeAsString() == before);
  }

  // Whatever is said of another's target, another epoch, a group or member that is not there.
  void Lie(int n) {
    if (!world_[n].up) return;
    std::vector<wire::SyncedGroup> lies;
    for (int i = 0; i < 20; ++i) {
      const auto group = static_cast<uint32_t>(Pick(70));
      const uint32_t epoch = group < 64 ? world_.Group(group).epoch() : 1;
      auto target = static_cast<uint32_t>(Pick(kTargets + 2));
      if (world_[n].Has(target)) target = 0;
      lies.push_back(FakeServer::Said(group, epoch, target));
      const uint32_t own = PickTarget(n);
      lies.push_back(FakeServer::Said(group, epoch + 1 + static_cast<uint32_t>(Pick(3)), own));
      lies.push_back(FakeServer::Said(group, epoch - 1, own));
    }
    world_[n].Beat(lies);
    Hear(n);
  }

  // One heartbeat of every server that is up, in a random order, and a tick.
  void Round(absl::Duration time) {
    world_.fixture.clock.Advance(time);
    std::vector<int> order;
    for (int n = 1; n <= kServers; ++n) order.push_back(n);
    std::shuffle(order.begin(), order.end(), random_);
    for (int n : order) {
      if (!world_[n].up) continue;
      Hear(n);
      const wire::HeartbeatResponse answer = world_[n].Beat(Claims(n));
      Hear(n);
      for (const wire::Order& order : answer.orders()) Drop(n, order);
    }
    REQUIRE(world_.fixture.state->Tick().ok());
  }

  std::vector<wire::SyncedGroup> Claims(int n) {
    std::vector<wire::SyncedGroup> claims;
    for (const wire::MapGroup& group : taken_[n].groups()) {
      for (const wire::MapMember& member : group.members()) {
        const uint32_t target = member.target_id();
        if (!world_[n].Has(target) || member.state() != wire::MEMBER_SYNCING) continue;
        if (group.number() < kModelled && !CatchUp(target, group)) continue;
        claims.push_back(FakeServer::Said(group.number(), group.epoch(), target));
      }
    }
    return claims;
  }
  // A former member drops its chunks, at the order's very epoch (order_worker.cc).
  void Drop(int n, const wire::Order& order) {
    const wire::DropGroup& drop = order.drop_group();
    const wire::MapGroup& group = View(n, drop.group());
    if (group.epoch() != drop.epoch() || !Works(drop.target_id())) return;
    for (const wire::MapMember& member : group.members()) {
      if (member.target_id() == drop.target_id()) return;
    }
    CopyOf(drop.group(), drop.target_id()) = {};
    world_[n].done.push_back(order.order_id());
  }
  // Copies what it needs for this epoch; false when that is not possible now.
  bool CatchUp(uint32_t target, const wire::MapGroup& group) {
    const uint32_t number = group.number();
    Copy& mine = CopyOf(number, target);
    std::set<int> all;
    const int sources = group.reconciling() > 0 ? static_cast<int>(group.reconciling()) : 1;
    for (int i = 0; i < sources; ++i) {
      const uint32_t source = group.members(i).target_id();
      if (!Works(source) || View(ServerOf(source), number).epoch() != group.epoch()) return false;
      const Copy& copy = CopyOf(number, source);
      all.insert(copy.data.begin(), copy.data.end());
    }
    mine.data = mine.synced = all;
    return true;
  }

  // As the head sees the group; acknowledged only when all members of its epoch agree.
  void MaybeWrite(uint32_t group) {
    const uint32_t of_now = world_.Group(group).members(0).target_id();
    const uint32_t head = Pick(4) != 0 ? of_now : 1 + static_cast<uint32_t>(Pick(kTargets));
    const wire::MapGroup view = View(ServerOf(head), group);
    if (view.members(0).target_id() != head || view.reconciling() > 0) return;
    if (view.members(0).state() != wire::MEMBER_IN_SYNC) return;
    const int id = ++last_write_;
    for (const wire::MapMember& member : view.members()) {
      const uint32_t target = member.target_id();
      if (!Works(target) || View(ServerOf(target), group).epoch() != view.epoch()) return;
      CopyOf(group, target).data.insert(id);
    }
    Write& write = writes_[group][id];
    ++acknowledged_;
    write.synced = Pick(2) == 0;
    for (const wire::MapMember& member : view.members()) {
      write.holders.insert(member.target_id());
      Copy& copy = CopyOf(group, member.target_id());
      if (write.synced) copy.synced.insert(id);
    }
  }

  // What the new map may and may not say.
  void Look() {
    const wire::ClusterMap map = Map();
    for (const wire::MapGroup& group : map.groups()) {
      const int in_sync = InSync(group);
      REQUIRE(group.members_size() >= 1);
      REQUIRE(group.members_size() <= static_cast<int>(kTargets));
      REQUIRE((group.reconciling() > 0) == (in_sync == 0));
      if (last_.groups_size() > 0) CheckStep(last_.groups(static_cast<int>(group.number())), group);
      if (group.number() < kModelled) CheckData(group);
    }
    last_ = map;
    rebooted_ = false;
  }
  static int InSync(const wire::MapGroup& group) {
    return static_cast<int>(
        std::count_if(group.members().begin(), group.members().end(),
                      [](const auto& m) { return m.state() == wire::MEMBER_IN_SYNC; }));
  }
  void CheckStep(const wire::MapGroup& before, const wire::MapGroup& now) const {
    REQUIRE(now.epoch() >= before.epoch());
    if (now.SerializeAsString() != before.SerializeAsString()) {
      REQUIRE(now.epoch() > before.epoch());
    }
    // Only a reboot takes the last copy that is in sync.
    if (InSync(before) > 0 && InSync(now) == 0) REQUIRE(rebooted_);
  }
  bool WasInSync(uint32_t group, uint32_t target) const {
    if (last_.groups_size() == 0) return false;
    for (const wire::MapMember& member : last_.groups(static_cast<int>(group)).members()) {
      if (member.target_id() == target) return member.state() == wire::MEMBER_IN_SYNC;
    }
    return false;
  }
  void CheckData(const wire::MapGroup& group) {
    std::set<uint32_t> members;
    for (const wire::MapMember& member : group.members()) {
      const bool behind = member.state() == wire::MEMBER_SYNCING;
      if (!behind || !WasInSync(group.number(), member.target_id())) {
        members.insert(member.target_id());
      }
    }
    for (auto& [id, write] : writes_[group.number()]) {
      std::erase_if(write.holders, [&](uint32_t holder) { return !members.contains(holder); });
      if (!write.synced && write.holders.empty()) continue;
      for (const wire::MapMember& member : group.members()) {
        if (member.state() != wire::MEMBER_IN_SYNC) continue;
        INFO("group " << group.number() << " target " << member.target_id() << " write " << id);
        REQUIRE(CopyOf(group.number(), member.target_id()).data.contains(id));
      }
    }
  }

  std::mt19937_64 random_;
  RepairWorld world_;
  int goal_ = 0;
  bool rebooted_ = false;  // since the last look
  wire::ClusterMap last_;
  std::map<int, wire::ClusterMap> taken_;                 // by server
  std::map<std::pair<uint32_t, uint32_t>, Copy> copies_;  // by group and target
  std::map<uint32_t, std::map<int, Write>> writes_;       // by group
  int last_write_ = 0;
  size_t acknowledged_ = 0;
};

}  // namespace penstock::metaserver
