// A seeded world of targets that crash, reboot, lose what was not synced, hear of epochs late, and
// write in chains. Whatever happens: what was acknowledged and synced stays on every in-sync
// member, and what was acknowledged stays unless every copy that counted rebooted.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <random>
#include <set>

#include "metaserver/cluster/member_table.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

const GroupId kGroup{1, 0};

struct Node {
  bool up = true;
  Membership view;       // the last membership that it heard of
  std::set<int> data;    // writes it has
  std::set<int> synced;  // those that survive a reboot
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {
    std::vector<TargetId> first;
    const int copies = 1 + Pick(3);
    for (int i = 1; i <= 5; ++i) nodes_[TargetId(static_cast<uint32_t>(i))];
    for (int i = 1; i <= copies; ++i) first.push_back(TargetId(static_cast<uint32_t>(i)));
    Install(MemberTable::NewGroup(kGroup, first));
  }

  void Step() {
    switch (Pick(11)) {
      case 0:
        Any().up = false;
        break;
      case 1:
        Any().up = true;
        break;
      case 2:
        Reboot(AnyId());
        break;
      case 3:
        Hear(AnyId());
        break;
      case 4:
        Confirm(AnyId());
        break;
      case 5:
        Barrier(Any());
        break;
      case 6:
        Try(table_.PlanRemove(kGroup, AnyId(), Live()));
        break;
      case 7:
        Try(table_.PlanAdd(kGroup, AnyId()));
        break;
      case 8:
        CatchUp(AnyId());
        break;
      case 9:
        Reconcile();
        break;
      default:
        Write();
        break;
    }
    Check();
  }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  TargetId AnyId() { return TargetId(static_cast<uint32_t>(1 + Pick(5))); }
  Node& Any() { return nodes_[AnyId()]; }
  const Membership& now() const { return *table_.Find(kGroup); }

  LiveTargets Live() const {
    LiveTargets live;
    for (const auto& [id, node] : nodes_) {
      if (node.up) live.insert(id);
    }
    return live;
  }
  void Install(Membership next) {
    REQUIRE(CheckMembership(next) == "");
    if (const Membership* before = table_.Find(kGroup); before != nullptr) {
      REQUIRE(next.epoch >= before->epoch);
      if (next.members != before->members) REQUIRE(next.epoch > before->epoch);
    }
    table_.Install(std::move(next));
  }
  bool Try(absl::StatusOr<Membership> plan) {
    if (!plan.ok()) return false;
    Install(*std::move(plan));
    return true;
  }

  // A power cut of one machine: what no barrier covered is gone. It registers when it is back.
  void Reboot(TargetId id) {
    nodes_[id].data = nodes_[id].synced;
    nodes_[id].up = true;
    if (Try(table_.PlanRebooted(kGroup, id)) && now().reconciling()) {
      // Every copy that counted rebooted: only what some of them had synced may be asked for.
      std::set<int> left;
      for (TargetId member : now().basis) {
        left.insert(nodes_[member].data.begin(), nodes_[member].data.end());
      }
      std::erase_if(acknowledged_,
                    [&](int w) { return !synced_.contains(w) && !left.contains(w); });
    }
    Hear(id);
  }
  void Hear(TargetId id) {
    if (nodes_[id].up) nodes_[id].view = now();
  }
  void Confirm(TargetId id) {
    if (nodes_[id].up) Try(table_.PlanConfirm(kGroup, id, nodes_[id].view.epoch));
  }
  void Barrier(Node& node) {
    if (node.up) node.synced = node.data;
  }

  // As the head sees the group; acknowledged only when all members of its epoch agree.
  void Write() {
    Node& head = Any();
    if (!head.up || head.view.members.empty() || head.view.reconciling()) return;
    const Membership view = head.view;
    if (&nodes_[view.members.front().target] != &head) return;
    const int write = ++last_write_;
    for (const GroupMember& member : view.members) {
      Node& node = nodes_[member.target];
      if (!node.up || node.view.epoch != view.epoch) return;  // stays pending, unacknowledged
      node.data.insert(write);
    }
    acknowledged_.insert(write);
    if (Pick(3) != 0) return;
    for (const GroupMember& member : view.members) {  // fsync
      nodes_[member.target].synced.insert(write);
    }
    synced_.insert(write);
  }

  // A syncing member copies all of an in-sync one, syncs and says so.
  void CatchUp(TargetId id) {
    Node& node = nodes_[id];
    const GroupMember* member = now().Find(id);
    if (!node.up || member == nullptr || member->state != wire::MEMBER_SYNCING) return;
    if (node.view.epoch != now().epoch || now().reconciling()) return;
    const Node& from = nodes_[now().members.front().target];
    if (!from.up || from.view.epoch != now().epoch) return;
    node.data = from.data;
    node.synced = node.data;
    Try(table_.PlanSynced(kGroup, id, node.view.epoch));
  }

  void Reconcile() {
    if (!now().reconciling()) return;
    std::set<int> all;
    for (TargetId id : now().basis) {
      const Node& node = nodes_[id];
      if (!node.up || node.view.epoch != now().epoch) return;
      all.insert(node.data.begin(), node.data.end());
    }
    for (TargetId id : now().basis) nodes_[id].data = nodes_[id].synced = all;
    REQUIRE(Try(table_.PlanReconciled(kGroup, now().epoch)));
  }

  void Check() {
    for (const GroupMember& member : now().members) {
      if (member.state != wire::MEMBER_IN_SYNC) continue;
      const Node& node = nodes_[member.target];
      for (int write : acknowledged_) REQUIRE(node.data.contains(write));
    }
    if (!now().reconciling()) return;
    std::set<int> all;
    for (TargetId id : now().basis) all.insert(nodes_[id].data.begin(), nodes_[id].data.end());
    for (int write : acknowledged_) REQUIRE(all.contains(write));
  }

  std::mt19937_64 random_;
  MemberTable table_;
  std::map<TargetId, Node> nodes_;
  int last_write_ = 0;
  std::set<int> acknowledged_, synced_;
};

}  // namespace

TEST_CASE("no membership change loses what was acknowledged", "[metaserver][member_table]") {
  const char* given = std::getenv("PENSTOCK_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const uint64_t last = given != nullptr ? first : 300;
  for (uint64_t seed = first; seed <= last; ++seed) {
    INFO("PENSTOCK_SEED=" << seed);
    World world(seed);
    for (int step = 0; step < 400; ++step) world.Step();
  }
}
