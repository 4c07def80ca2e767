// Many seeds of a cluster that fails in every way (failure_world.h).
#include <cstdlib>

#include "tests/metaserver/cluster/failure_world.h"

using namespace penstock;
using namespace penstock::metaserver;

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
