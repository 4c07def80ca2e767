#include "metaserver/cluster/order_targets.h"

#include <catch2/catch.hpp>

#include "common/placement.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

constexpr uint32_t kGroups = 8;
constexpr uint32_t kSeed = 77;
using Targets = std::vector<TargetId>;

// Group g has the members 10 + g and 20 + g, and once had 30 + g.
MemberTable Table() {
  MemberTable table;
  for (uint32_t g = 0; g < kGroups; ++g) {
    Membership group = MemberTable::NewGroup({1, g}, {TargetId(10 + g), TargetId(20 + g)});
    group.former = {TargetId(30 + g)};
    table.Install(group);
  }
  return table;
}

uint32_t GroupOf(uint32_t index) { return GroupOfPosition(ChunkPosition(kSeed, index), kGroups); }

wire::Layout Layout() {
  wire::Layout layout;
  layout.set_content_id(5);
  layout.set_seed(kSeed);
  layout.set_chunk_size_log2(20);
  layout.set_storage_class(1);
  return layout;
}

}  // namespace

TEST_CASE("a deletion is for all that ever stood in the groups of its chunks",
          "[metaserver][orders]") {
  const MemberTable table = Table();
  wire::Order order;
  *order.mutable_delete_content()->mutable_layout() = Layout();
  REQUIRE(TargetsOf(order, table, kGroups).empty());
  order.mutable_delete_content()->set_chunk_count(1);
  const uint32_t g = GroupOf(0);
  REQUIRE(TargetsOf(order, table, kGroups) ==
          Targets{TargetId(10 + g), TargetId(20 + g), TargetId(30 + g)});
  order.mutable_delete_content()->set_chunk_count(2);
  REQUIRE(TargetsOf(order, table, kGroups).size() == 6);
  order.mutable_delete_content()->set_chunk_count(uint64_t{1} << 40);
  REQUIRE(TargetsOf(order, table, kGroups).size() == 3 * kGroups);
  order.mutable_delete_content()->mutable_layout()->set_storage_class(9);
  REQUIRE(TargetsOf(order, table, kGroups).empty());
  REQUIRE(TargetsOf(order, table, 0).empty());
}

TEST_CASE("a truncation is for the heads of the groups of what is cut", "[metaserver][orders]") {
  const MemberTable table = Table();
  wire::Order order;
  *order.mutable_truncate_content()->mutable_layout() = Layout();
  order.mutable_truncate_content()->set_new_size((3 << 20) + 5);
  order.mutable_truncate_content()->set_old_size(4 << 20);
  REQUIRE(TargetsOf(order, table, kGroups) == Targets{TargetId(10 + GroupOf(3))});
  order.mutable_truncate_content()->set_old_size((4 << 20) + 1);
  REQUIRE(TargetsOf(order, table, kGroups).size() == 2);
  order.mutable_truncate_content()->set_old_size(1 << 20);
  REQUIRE(TargetsOf(order, table, kGroups).empty());
}

TEST_CASE("a deletion is also for a copy that left and still counts", "[metaserver][orders]") {
  MemberTable table = Table();
  const GroupId id{1, GroupOf(0)};
  const TargetId head(10 + id.number), tail(20 + id.number);
  table.Install(*table.PlanRemove(id, head, {tail}));
  wire::Order order;
  *order.mutable_delete_content()->mutable_layout() = Layout();
  order.mutable_delete_content()->set_chunk_count(1);
  REQUIRE(TargetsOf(order, table, kGroups) == Targets{head, tail, TargetId(30 + id.number)});
}

TEST_CASE("what a change of members means for orders", "[metaserver][orders]") {
  MemberTable table = Table();
  const GroupId id{1, GroupOf(0)};
  const TargetId head(10 + id.number), tail(20 + id.number), former(30 + id.number), fresh(50);
  wire::Order cut, drop_content, drop_group;
  *cut.mutable_truncate_content()->mutable_layout() = Layout();
  cut.mutable_truncate_content()->set_old_size(5);
  *drop_content.mutable_delete_content()->mutable_layout() = Layout();
  drop_content.mutable_delete_content()->set_chunk_count(1);
  drop_group.mutable_drop_group()->set_storage_class(1);
  drop_group.mutable_drop_group()->set_group(id.number);
  const auto revise = [&](const wire::Order& order, const Membership& next) {
    const MembershipsBefore before{{id, *table.Find(id)}};
    MemberTable after = table;
    after.Install(next);
    return ReviseOrder(order, before, after, kGroups);
  };
  const Membership headless = *table.PlanRemove(id, head, {tail});
  REQUIRE(revise(cut, headless).targets == Targets{tail});
  REQUIRE(revise(cut, headless).again == Targets{tail});
  REQUIRE(revise(drop_content, headless).again.empty());
  REQUIRE(revise(drop_group, headless).withdrawn);
  const Membership tailless = *table.PlanRemove(id, tail, {head});
  REQUIRE(revise(cut, tailless).targets == Targets{head});
  REQUIRE(revise(cut, tailless).again.empty());  // its head goes on
  const Membership more = *table.PlanAdd(id, fresh);
  REQUIRE(revise(cut, more).again.empty());
  REQUIRE(revise(drop_content, more).again == Targets{fresh});
  // It has left the cluster.
  const Membership forgotten = *table.PlanForget(id, former);
  REQUIRE(revise(drop_content, forgotten).targets == Targets{head, tail});
  drop_group.mutable_drop_group()->set_target_id(former.value());
  REQUIRE(revise(drop_group, forgotten).withdrawn);
  const Membership back = *table.PlanAdd(id, former);
  // It will copy from others: what it did as a former member does not count.
  REQUIRE(revise(drop_content, back).again == Targets{former});
  table.Install(back);
  // It copied from others, perhaps what they had not dropped yet.
  const Membership synced = *table.PlanSynced(id, former, back.epoch);
  REQUIRE(revise(drop_content, synced).again == Targets{former});
  table.Install(synced);
  const Membership demoted = *table.PlanDemote(id, tail, {head, tail, former});
  REQUIRE(revise(drop_content, demoted).again == Targets{tail});
  const Membership confirmed = *table.PlanConfirm(id, head, synced.epoch);
  drop_group.mutable_drop_group()->set_target_id(60);
  REQUIRE(!revise(drop_group, confirmed).withdrawn);  // the same epoch
  const uint32_t other = (id.number + 1) % kGroups;
  drop_group.mutable_drop_group()->set_group(other);
  REQUIRE(!revise(drop_group, headless).touched);
}
