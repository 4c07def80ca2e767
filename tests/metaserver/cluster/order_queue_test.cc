#include "metaserver/cluster/order_queue.h"

#include <catch2/catch.hpp>

#include "metaserver/cluster/cluster_options.h"
#include "tests/testing/fake_clock.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

const ServerId kOne{1}, kTwo{2};

struct Fixture {
  testing::FakeClock clock;
  OrderQueue queue{[](uint32_t) { return std::vector<ServerId>{kOne, kTwo}; }, 500, &clock};
};

}  // namespace

TEST_CASE("an order is done when every server said so", "[metaserver][orders]") {
  Fixture f;
  int done = 0;
  REQUIRE(f.queue.Delete({}, [&] { ++done; }));
  const auto orders = f.queue.Take(kOne);
  REQUIRE(orders.size() == 1);
  REQUIRE(orders[0].order_id() == 500);
  f.queue.Acknowledge(kOne, {500, 500, 7});
  REQUIRE(done == 0);
  f.queue.Acknowledge(kTwo, {500});
  REQUIRE(done == 1);
  REQUIRE(f.queue.under_way() == 0);
  f.queue.Acknowledge(kTwo, {500});
  REQUIRE(done == 1);
}

TEST_CASE("an order is sent again after a while, and at once to a new process",
          "[metaserver][orders]") {
  Fixture f;
  wire::TruncateContent cut;
  cut.set_new_size(10);
  REQUIRE(f.queue.Truncate(cut, [] {}));
  REQUIRE(f.queue.Take(kOne).size() == 1);
  REQUIRE(f.queue.Take(kOne).empty());
  f.clock.Advance(kOrderResendAfter);
  REQUIRE(f.queue.Take(kOne).at(0).truncate_content().new_size() == 10);
  f.queue.Restarted(kOne);
  REQUIRE(f.queue.Take(kOne).size() == 1);
}

TEST_CASE("heartbeats and the queue are bounded", "[metaserver][orders]") {
  Fixture f;
  for (size_t i = 0; i < kMaxOrdersUnderWay; ++i) REQUIRE(f.queue.Delete({}, [] {}));
  REQUIRE(!f.queue.Delete({}, [] {}));
  REQUIRE(f.queue.Take(kOne).size() == kMaxOrdersPerHeartbeat);
}

TEST_CASE("without groups there is nothing to delete", "[metaserver][orders]") {
  testing::FakeClock clock;
  OrderQueue queue([](uint32_t) { return std::vector<ServerId>{}; }, 1, &clock);
  bool done = false;
  REQUIRE(queue.Delete({}, [&] { done = true; }));
  REQUIRE(done);
}
