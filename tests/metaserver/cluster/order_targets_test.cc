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

TEST_CASE("a truncation is for the members of the groups of what is cut", "[metaserver][orders]") {
  const MemberTable table = Table();
  wire::Order order;
  *order.mutable_truncate_content()->mutable_layout() = Layout();
  order.mutable_truncate_content()->set_new_size((3 << 20) + 5);
  order.mutable_truncate_content()->set_old_size(4 << 20);
  const uint32_t g = GroupOf(3);
  REQUIRE(TargetsOf(order, table, kGroups) == Targets{TargetId(10 + g), TargetId(20 + g)});
  order.mutable_truncate_content()->set_old_size((4 << 20) + 1);
  REQUIRE(TargetsOf(order, table, kGroups).size() == 4);
  order.mutable_truncate_content()->set_old_size(1 << 20);
  REQUIRE(TargetsOf(order, table, kGroups).empty());
}
