// A seeded cluster around a real ClusterState: servers fall silent, return, reboot and lose what
// was not synced, hear of maps late, report broken disks, and lie; the metaserver restarts; targets
// are drained and rebalanced meanwhile.
// Whatever happens, the last copy stays, what was acknowledged is on every in-sync member, and once
// all servers are well, every group reaches its goal.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "tests/metaserver/cluster/repair_world.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

constexpr uint32_t kModelled = 4;  // groups with data; the others only have members
constexpr int kServers = 5;        // with one target each, of the same number

struct Copy {
  std::set<int> data;
  std::set<int> synced;  // survives a reboot
};
struct Write {
  bool synced = false;
  std::set<uint32_t> holders;  // members that acknowledged it, and neither rebooted nor left since
};

class FailureWorld {
 public:
  explicit FailureWorld(uint64_t seed)
      : random_(seed),
        world_(kServers, {.replication = 2 + static_cast<uint32_t>(seed % 2),
                          .initial_targets = 3 + static_cast<uint32_t>(seed % 3),
                          .repair_after = absl::Seconds(20),
                          .repairs_per_target = 20}) {
    goal_ = static_cast<int>(2 + seed % 2);
    for (int n = 1; n <= kServers; ++n) Hear(n);
    Look();
  }

  void Step() {
    const int n = 1 + Pick(kServers);
    switch (Pick(19)) {
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
        world_[n].state = Pick(3) != 0   ? wire::TARGET_ONLINE
                          : Pick(2) != 0 ? wire::TARGET_FAILED
                                         : wire::TARGET_ABSENT;
        break;
      case 6:
        Lie(n);
        break;
      case 7:
        if (Pick(4) == 0) RestartMetaserver();
        break;
      case 10:
        Operate(n);
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
  void Operate(int n) {
    const TargetId target(static_cast<uint32_t>(n));
    ClusterState& state = *world_.fixture.state;
    wire::DrainTargetRequest drain;
    drain.set_target_id(target.value());
    drain.set_onto(Pick(2) == 0 ? 0 : 1 + static_cast<uint32_t>(Pick(kServers)));
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
    for (int n = 1; n <= kServers; ++n) {
      REQUIRE(world_.fixture.state->UndrainTarget(TargetId(static_cast<uint32_t>(n))).ok());
    }
    for (int n = 1; n <= kServers; ++n) {
      world_[n].hears_map = true;
      world_[n].state = wire::TARGET_ONLINE;
      if (!world_[n].up) Start(n);
    }
    for (int round = 0; round < 60; ++round) {
      Round(absl::Seconds(1));
      Look();
    }
    REQUIRE(!world_.fixture.state->View().rebalance.running());
    const wire::ClusterMap map = Map();
    for (const wire::MapGroup& group : map.groups()) {
      REQUIRE(group.members_size() == goal_);
      for (const wire::MapMember& member : group.members()) {
        REQUIRE(member.state() == wire::MEMBER_IN_SYNC);
      }
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
  bool Works(int n) { return world_[n].up && world_[n].state == wire::TARGET_ONLINE; }

  void Hear(int n) {
    if (world_[n].hears_map) taken_[n] = Map();
  }
  void Start(int n) {
    world_[n].Register();
    taken_[n] = Map();
  }
  void Reboot(int n) {
    const auto target = static_cast<uint32_t>(n);
    for (uint32_t group = 0; group < kModelled; ++group) {
      CopyOf(group, target).data = CopyOf(group, target).synced;
      for (auto& [id, write] : writes_[group]) write.holders.erase(target);
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
      auto target = static_cast<uint32_t>(Pick(kServers + 2));
      if (target == static_cast<uint32_t>(n)) target = 0;
      lies.push_back(FakeServer::Said(group, epoch, target));
      lies.push_back(FakeServer::Said(group, epoch + 1 + static_cast<uint32_t>(Pick(3)),
                                      static_cast<uint32_t>(n)));
      lies.push_back(FakeServer::Said(group, epoch - 1, static_cast<uint32_t>(n)));
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
      world_[n].Beat(Claims(n));
      Hear(n);
    }
    REQUIRE(world_.fixture.state->Tick().ok());
  }

  std::vector<wire::SyncedGroup> Claims(int n) {
    std::vector<wire::SyncedGroup> claims;
    const auto target = static_cast<uint32_t>(n);
    for (const wire::MapGroup& group : taken_[n].groups()) {
      for (const wire::MapMember& member : group.members()) {
        if (member.target_id() != target || member.state() != wire::MEMBER_SYNCING) continue;
        if (group.number() < kModelled && !CatchUp(n, group)) continue;
        claims.push_back(FakeServer::Said(group.number(), group.epoch(), target));
      }
    }
    return claims;
  }
  // Copies what it needs for this epoch; false when that is not possible now.
  bool CatchUp(int n, const wire::MapGroup& group) {
    const uint32_t number = group.number();
    Copy& mine = CopyOf(number, static_cast<uint32_t>(n));
    std::set<int> all;
    const int sources = group.reconciling() > 0 ? static_cast<int>(group.reconciling()) : 1;
    for (int i = 0; i < sources; ++i) {
      const auto source = static_cast<int>(group.members(i).target_id());
      if (!Works(source) || View(source, number).epoch() != group.epoch()) return false;
      const Copy& copy = CopyOf(number, static_cast<uint32_t>(source));
      all.insert(copy.data.begin(), copy.data.end());
    }
    mine.data = mine.synced = all;
    return true;
  }

  // As the head sees the group; acknowledged only when all members of its epoch agree.
  void MaybeWrite(uint32_t group) {
    const auto of_now = static_cast<int>(world_.Group(group).members(0).target_id());
    const int head = Pick(4) != 0 ? of_now : 1 + Pick(kServers);
    const wire::MapGroup view = View(head, group);
    if (view.members(0).target_id() != static_cast<uint32_t>(head) || view.reconciling() > 0)
      return;
    if (view.members(0).state() != wire::MEMBER_IN_SYNC) return;
    const int id = ++last_write_;
    for (const wire::MapMember& member : view.members()) {
      const auto n = static_cast<int>(member.target_id());
      if (!Works(n) || View(n, group).epoch() != view.epoch()) return;
      CopyOf(group, member.target_id()).data.insert(id);
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
      REQUIRE(group.members_size() <= std::max(goal_, kServers));
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
  void CheckData(const wire::MapGroup& group) {
    std::set<uint32_t> members;
    for (const wire::MapMember& member : group.members()) members.insert(member.target_id());
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

}  // namespace

TEST_CASE("whatever fails, no copy that counts is lost and every repair ends",
          "[metaserver][repair]") {
  const char* given = std::getenv("PENSTOCK_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const uint64_t last = given != nullptr ? first : 12;
  size_t acknowledged = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    INFO("PENSTOCK_SEED=" << seed);
    FailureWorld world(seed);
    for (int step = 0; step < 150; ++step) world.Step();
    world.Heal();
    acknowledged += world.acknowledged();
  }
  REQUIRE(acknowledged > 20 * (last - first));  // the world does not stand still
}
