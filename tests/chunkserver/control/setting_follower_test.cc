#include "chunkserver/control/setting_follower.h"

#include <catch2/catch.hpp>

namespace penstock::chunkserver {
namespace {

wire::Setting Make(const std::string& name, const std::string& value) {
  wire::Setting setting;
  setting.set_name(name);
  setting.set_value(value);
  return setting;
}

}  // namespace

TEST_CASE("what the cluster has set stands above the server's own, and goes again",
          "[chunkserver][control]") {
  ClusterSettings own;
  own.sync_bytes_per_second = 7 * kMiB;
  own.reserve_bytes = 3 * kMiB;
  std::vector<ClusterSettings> applied;
  SettingFollower follower(own, [&](const ClusterSettings& now) { applied.push_back(now); });
  follower.Take({});
  REQUIRE(applied.empty());
  follower.Take({Make("sync.rate", "50MiB/s")});
  follower.Take({Make("sync.rate", "50MiB/s")});
  REQUIRE(applied.size() == 1);
  REQUIRE(applied[0].sync_bytes_per_second == 50 * kMiB);
  REQUIRE(applied[0].reserve_bytes == 3 * kMiB);
  follower.Take({Make("of.the.future", "1"), Make("space.reserve", "nonsense"),
                 Make("sync.rate", "unlimited")});
  REQUIRE(applied.size() == 2);
  REQUIRE(applied[1].sync_bytes_per_second == 0);
  REQUIRE(applied[1].reserve_bytes == 3 * kMiB);
  follower.Take({});
  REQUIRE(applied.back() == own);
}

}  // namespace penstock::chunkserver
