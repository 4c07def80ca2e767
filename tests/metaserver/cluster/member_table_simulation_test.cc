// A seeded world of targets that crash, reboot, lose what was not synced, hear of epochs late, and
// write in chains. Whatever happens: what was acknowledged and synced stays on every in-sync
// member, and what was acknowledged stays unless every copy that counted rebooted.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>
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
    switch (Pick(18)) {
      case 0:
        Any().up = false;
        break;
      case 1:
      case 2:
        Any().up = true;
        break;
      case 3:
        Reboot(AnyId());
        break;
      case 4:
        Hear(AnyId());
        break;
      case 5:
      case 6:
        for (auto& [id, node] : nodes_) Hear(id);
        break;
      case 7:
        SayTaken(AnyId());
        break;
      case 8:
        Barrier(Any());
        break;
      case 9:
        Try(table_.PlanRemove(kGroup, AnyId(), Live()));
        break;
      case 10:
        Try(table_.PlanAdd(kGroup, AnyId()));
        break;
      case 11:
        CatchUp(AnyId());
        break;
      case 12:
        Reconcile();
        break;
      case 13:
      case 14:
        Deliver();
        break;
      default:
        Write();
        break;
    }
    Check();
  }
  size_t acknowledged() const { return acknowledged_ever_; }

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
    in_sync_of_epoch_[next.epoch].clear();
    for (const GroupMember& member : next.members) {
      if (member.state == wire::MEMBER_IN_SYNC) in_sync_of_epoch_[next.epoch].insert(member.target);
    }
    table_.Install(std::move(next));
  }
  // The copies that count, as one who sees everything knows: in sync in the newest epoch that one
  // of its in-sync members has really taken, or later.
  std::set<TargetId> Counting() const {
    std::set<TargetId> counting;
    for (auto it = in_sync_of_epoch_.lower_bound(taken_); it != in_sync_of_epoch_.end(); ++it) {
      counting.insert(it->second.begin(), it->second.end());
    }
    return counting;
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
      std::set<int> left;
      for (TargetId copy : Counting()) {
        left.insert(nodes_[copy].data.begin(), nodes_[copy].data.end());
      }
      std::erase_if(acknowledged_,
                    [&](int w) { return !synced_.contains(w) && !left.contains(w); });
    }
    Hear(id);
  }
  void Hear(TargetId id) {
    if (!nodes_[id].up) return;
    nodes_[id].view = now();
    if (in_sync_of_epoch_[now().epoch].contains(id)) taken_ = std::max(taken_, now().epoch);
  }
  // Messages to the metaserver: late, out of order, twice, or lost.
  void SayTaken(TargetId id) {
    if (nodes_[id].up) mail_.push_back({id, nodes_[id].view.epoch, false});
  }
  void Deliver() {
    if (mail_.empty()) return;
    const size_t at = static_cast<size_t>(Pick(static_cast<int>(mail_.size())));
    const Message message = mail_[at];
    if (Pick(4) != 0) mail_.erase(mail_.begin() + static_cast<ptrdiff_t>(at));
    if (Pick(8) == 0) return;
    Try(message.synced ? table_.PlanSynced(kGroup, message.from, message.epoch)
                       : table_.PlanConfirm(kGroup, message.from, message.epoch));
  }
  void Barrier(Node& node) {
    if (node.up) node.synced = node.data;
  }

  // As the head sees the group; acknowledged only when all members of its epoch agree.
  void Write() {
    Node& head = Pick(4) != 0 ? nodes_[now().members.front().target] : Any();
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
    ++acknowledged_ever_;
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
    mail_.push_back({id, node.view.epoch, true});
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
      REQUIRE(std::includes(node.data.begin(), node.data.end(), acknowledged_.begin(),
                            acknowledged_.end()));
    }
    if (!now().reconciling()) return;
    std::set<int> all;
    for (TargetId id : now().basis) all.insert(nodes_[id].data.begin(), nodes_[id].data.end());
    REQUIRE(std::includes(all.begin(), all.end(), acknowledged_.begin(), acknowledged_.end()));
  }

  struct Message {
    TargetId from;
    uint32_t epoch;
    bool synced;  // its copies are synced; else: it has taken the epoch
  };

  std::mt19937_64 random_;
  MemberTable table_;
  std::map<TargetId, Node> nodes_;
  std::map<uint32_t, std::set<TargetId>> in_sync_of_epoch_;
  uint32_t taken_ = 1;
  std::vector<Message> mail_;
  int last_write_ = 0;
  size_t acknowledged_ever_ = 0;
  std::set<int> acknowledged_, synced_;
};

}  // namespace

TEST_CASE("no membership change loses what was acknowledged", "[metaserver][member_table]") {
  const char* given = std::getenv("PENSTOCK_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const uint64_t last = given != nullptr ? first : 300;
  size_t acknowledged = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    INFO("PENSTOCK_SEED=" << seed);
    World world(seed);
    for (int step = 0; step < 500; ++step) world.Step();
    acknowledged += world.acknowledged();
  }
  REQUIRE(acknowledged > 10 * (last - first));  // the world does not stand still
}
