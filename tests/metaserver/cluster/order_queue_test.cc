#include "metaserver/cluster/order_queue.h"

#include <catch2/catch.hpp>

#include "metaserver/cluster/cluster_options.h"
#include "tests/testing/fake_clock.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

using Ids = std::vector<uint64_t>;
using Targets = std::vector<TargetId>;
const TargetId kOne{1}, kTwo{2}, kThree{3};

// Orders of storage class n are for targets 1 to n, says map 0; a drop for the target that it
// names.
struct Fixture {
  testing::FakeClock clock;
  OrderQueue queue{[](const wire::Order& order) -> OrderQueue::Asked {
                     if (order.has_drop_group()) {
                       return {{TargetId(order.drop_group().target_id())}, 0};
                     }
                     const uint32_t count = order.has_delete_content()
                                                ? order.delete_content().layout().storage_class()
                                                : order.truncate_content().layout().storage_class();
                     Targets targets;
                     for (uint32_t i = 1; i <= count; ++i) targets.emplace_back(i);
                     return {targets, 0};
                   },
                   500, &clock};
  int done = 0;

  bool Delete(uint32_t targets) {
    wire::DeleteContent order;
    order.mutable_layout()->set_storage_class(targets);
    return queue.Delete(order, [this] { ++done; });
  }
  // Every order is now for these targets, and again for those.
  void Revise(uint64_t map_version, const Targets& targets, const Targets& again) {
    queue.Revise(map_version, [&](const wire::Order&) {
      return OrderRevision{.touched = true, .targets = targets, .again = again};
    });
  }
  bool Truncate(uint32_t targets) {
    wire::TruncateContent order;
    order.mutable_layout()->set_storage_class(targets);
    order.set_new_size(10);
    return queue.Truncate(order, [this] { ++done; });
  }
};

}  // namespace

TEST_CASE("an order is done when it was done on every target", "[metaserver][orders]") {
  Fixture f;
  REQUIRE(f.Delete(2));
  const auto orders = f.queue.Take({kOne}, 0);
  REQUIRE(orders.size() == 1);
  REQUIRE(orders[0].order_id() == 500);
  f.queue.Acknowledge({kOne}, Ids{500, 500, 7});
  REQUIRE(f.done == 0);
  f.queue.Acknowledge({kThree}, Ids{500});
  REQUIRE(f.done == 0);
  f.queue.Acknowledge({kTwo}, Ids{500});
  REQUIRE(f.done == 1);
  REQUIRE(f.queue.under_way() == 0);
  f.queue.Acknowledge({kTwo}, Ids{500});
  REQUIRE(f.done == 1);
}

TEST_CASE("an order waits for a target that its server does not have open",
          "[metaserver][orders]") {
  Fixture f;
  REQUIRE(f.Delete(3));
  // Targets 1 and 2 are of one server: it gets the order once, and did it on the open one only.
  REQUIRE(f.queue.Take({kOne}, 0).size() == 1);
  f.queue.Acknowledge({kOne}, Ids{500});
  f.queue.Acknowledge({kThree}, Ids{500});
  REQUIRE(f.done == 0);
  // Nobody who could not do it is asked for it again.
  f.clock.Advance(absl::Hours(1));
  REQUIRE(f.queue.Take({kOne}, 0).empty());
  REQUIRE(f.queue.Take({kThree}, 0).empty());
  // Others go on.
  REQUIRE(f.Delete(1));
  REQUIRE(f.queue.Take({kOne}, 0).size() == 1);
  f.queue.Acknowledge({kOne}, Ids{501});
  REQUIRE(f.done == 1);
  // The disk is back, perhaps in another server.
  f.queue.Restarted({kOne, kTwo});
  REQUIRE(f.queue.Take({kOne, kTwo}, 0).at(0).order_id() == 500);
  f.queue.Acknowledge({kOne, kTwo}, Ids{500});
  REQUIRE(f.done == 2);
}

TEST_CASE("a server with several targets gets an order once", "[metaserver][orders]") {
  Fixture f;
  REQUIRE(f.Delete(3));
  REQUIRE(f.queue.Take({kOne, kTwo, kThree}, 0).size() == 1);
  REQUIRE(f.queue.Take({kOne, kTwo, kThree}, 0).empty());
  f.queue.Acknowledge({kOne, kTwo, kThree}, Ids{500});
  REQUIRE(f.done == 1);
}

TEST_CASE("an order is sent again after a while, ever more rarely, and at once to a new process",
          "[metaserver][orders]") {
  Fixture f;
  REQUIRE(f.Truncate(1));
  REQUIRE(f.queue.Take({kOne}, 0).size() == 1);
  REQUIRE(f.queue.Take({kOne}, 0).empty());
  f.clock.Advance(kOrderResendAfter);
  REQUIRE(f.queue.Take({kOne}, 0).at(0).truncate_content().new_size() == 10);
  int sent = 0;
  for (int s = 0; s < 3600; ++s) {
    f.clock.Advance(absl::Seconds(1));
    sent += static_cast<int>(f.queue.Take({kOne}, 0).size());
  }
  REQUIRE(sent > 50);
  REQUIRE(sent < 70);
  f.queue.Restarted({kOne});
  REQUIRE(f.queue.Take({kOne}, 0).size() == 1);
}

TEST_CASE("new orders go before those that are sent again", "[metaserver][orders]") {
  Fixture f;
  for (size_t i = 0; i < 2 * kMaxOrdersPerHeartbeat; ++i) REQUIRE(f.Delete(1));
  REQUIRE(f.queue.Take({kOne}, 0).size() == kMaxOrdersPerHeartbeat);
  f.clock.Advance(kOrderResendAfter);
  const auto next = f.queue.Take({kOne}, 0);
  REQUIRE(next.size() == kMaxOrdersPerHeartbeat);
  REQUIRE(next.front().order_id() == 500 + kMaxOrdersPerHeartbeat);
}

TEST_CASE("the queue is bounded, for each kind of order alone", "[metaserver][orders]") {
  Fixture f;
  for (size_t i = 0; i < kMaxOrdersUnderWay; ++i) f.Delete(1);
  REQUIRE(f.queue.under_way() == kMaxOrdersUnderWay);
  REQUIRE(!f.Delete(1));
  REQUIRE(f.Truncate(1));
  REQUIRE(f.queue.Take({kOne}, 0).size() == kMaxOrdersPerHeartbeat);
}

TEST_CASE("orders that wait for long are overdue", "[metaserver][orders]") {
  Fixture f;
  REQUIRE(f.Delete(1));
  REQUIRE(f.Delete(2));
  f.clock.Advance(kOrderOverdueAfter);
  REQUIRE(f.Delete(1));
  REQUIRE(f.queue.overdue() == 2);
  f.queue.Acknowledge({kOne}, Ids{500, 501, 502});
  REQUIRE(f.done == 2);
  REQUIRE(f.queue.overdue() == 1);
}

TEST_CASE("without groups there is nothing to delete", "[metaserver][orders]") {
  Fixture f;
  REQUIRE(f.Delete(0));
  REQUIRE(f.done == 1);
}

TEST_CASE("a target that is no longer concerned is not waited for", "[metaserver][orders]") {
  Fixture f;
  REQUIRE(f.Truncate(2));
  REQUIRE(f.Delete(3));
  f.queue.Acknowledge({kOne}, Ids{500, 501});
  f.Revise(1, {kOne, kThree}, {});
  REQUIRE(f.done == 1);
  REQUIRE(f.queue.under_way() == 1);
  REQUIRE(f.queue.Take({kTwo}, 1).empty());
  f.queue.Acknowledge({kThree}, Ids{501});
  REQUIRE(f.done == 2);
}

TEST_CASE("who has to do it again gets it under a new id, and with the new map",
          "[metaserver][orders]") {
  Fixture f;
  REQUIRE(f.Truncate(2));
  REQUIRE(f.queue.Take({kOne}, 0).size() == 1);
  REQUIRE(f.queue.Take({kTwo}, 0).size() == 1);
  f.queue.Acknowledge({kTwo}, Ids{500});
  f.Revise(7, {kOne, kTwo}, {kTwo});
  f.queue.Acknowledge({kTwo}, Ids{500});  // was under way: of the old map
  f.queue.Acknowledge({kOne}, Ids{500});  // still counts: for it nothing changed
  REQUIRE(f.done == 0);
  REQUIRE(f.queue.Take({kTwo}, 6).empty());
  REQUIRE(f.queue.Take({kTwo}, 7).at(0).order_id() == 501);
  f.queue.Acknowledge({kTwo}, Ids{501});
  REQUIRE(f.done == 1);
}

TEST_CASE("ids of an order that is asked for again and again are bounded", "[metaserver][orders]") {
  Fixture f;
  REQUIRE(f.Delete(2));
  for (uint64_t version = 1; version <= 100; ++version) f.Revise(version, {kOne, kTwo}, {kTwo});
  f.queue.Acknowledge({kOne}, Ids{500});  // forgotten: it will be asked again
  f.queue.Acknowledge({kTwo}, Ids{600});
  REQUIRE(f.done == 0);
  REQUIRE(f.queue.Take({kOne}, 100).at(0).order_id() == 600);
  f.queue.Acknowledge({kOne}, Ids{600});
  REQUIRE(f.done == 1);
}

TEST_CASE("a withdrawn order is not sent and never done", "[metaserver][orders]") {
  Fixture f;
  wire::DropGroup drop;
  drop.set_target_id(1);
  REQUIRE(f.queue.Drop(drop, [&] { ++f.done; }));
  REQUIRE(f.queue.Take({kOne}, 0).at(0).has_drop_group());
  f.queue.Revise(
      1, [](const wire::Order&) { return OrderRevision{.touched = true, .withdrawn = true}; });
  f.queue.Acknowledge({kOne}, Ids{500});
  REQUIRE(f.done == 0);
  REQUIRE(f.queue.under_way() == 0);
  f.clock.Advance(absl::Hours(1));
  REQUIRE(f.queue.Take({kOne}, 1).empty());
}
