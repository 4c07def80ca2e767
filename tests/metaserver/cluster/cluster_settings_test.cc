// Settings of the cluster: in effect at once, kept, and never at the price of safety.
#include <catch2/catch.hpp>

#include "common/status.h"
#include "tests/metaserver/cluster/repair_world.h"

using namespace penstock;
using namespace penstock::metaserver;
using Catch::Contains;

namespace {

std::string Value(const ClusterState& state, const std::string& name) {
  for (const wire::SettingInfo& info : state.settings().List()) {
    if (info.name() == name) return info.value();
  }
  return "";
}

}  // namespace

TEST_CASE("a setting is in effect at once and after a restart", "[metaserver][settings]") {
  ClusterFixture fixture({.repair_after = absl::Minutes(3)});
  REQUIRE(Value(*fixture.state, "repair.after") == "3m");  // as it was started
  auto changed = fixture.state->ChangeSetting("repair.after", "90s");
  REQUIRE(changed.ok());
  REQUIRE(changed->before() == "3m");
  REQUIRE(changed->setting().value() == "1m30s");
  REQUIRE(changed->setting().is_set());
  REQUIRE(changed->setting().default_value() == "3m");
  REQUIRE(fixture.events.TakeText() ==
          "class.made: storage class default with 2 copies is made\n"
          "setting.changed: repair.after is 1m30s, before 3m\n");
  REQUIRE(fixture.state->ChangeSetting("repair.after", "1m30s").ok());  // again
  REQUIRE(fixture.events.Take().empty());
  fixture.Reopen();
  REQUIRE(Value(*fixture.state, "repair.after") == "1m30s");
  changed = fixture.state->ChangeSetting("repair.after", "");
  REQUIRE(changed.ok());
  REQUIRE(!changed->setting().is_set());
  REQUIRE(Value(*fixture.state, "repair.after") == "3m");
  fixture.Reopen();
  REQUIRE(Value(*fixture.state, "repair.after") == "3m");
}

TEST_CASE("what is unknown or out of range changes nothing", "[metaserver][settings]") {
  ClusterFixture fixture;
  REQUIRE(absl::IsNotFound(fixture.state->ChangeSetting("repair.aftr", "5m").status()));
  REQUIRE(absl::IsInvalidArgument(fixture.state->ChangeSetting("repair.after", "0s").status()));
  REQUIRE(absl::IsInvalidArgument(fixture.state->ChangeSetting("sync.rate", "fast").status()));
  REQUIRE(fixture.state->settings().Set().empty());
}

TEST_CASE("chunkservers hear in every heartbeat what is set", "[metaserver][settings]") {
  ClusterFixture fixture;
  fixture.Register(ChunkserverRequest(1));
  REQUIRE(fixture.Beat(1, 1).settings_size() == 0);
  REQUIRE(fixture.state->ChangeSetting("sync.rate", "10MiB/s").ok());
  const wire::HeartbeatResponse response = fixture.Beat(1, 1);
  REQUIRE(response.settings_size() == 1);
  REQUIRE(response.settings(0).name() == "sync.rate");
  REQUIRE(response.settings(0).value() == "10MiB/s");
  REQUIRE(fixture.state->ChangeSetting("sync.rate", "").ok());
  REQUIRE(fixture.Beat(1, 1).settings_size() == 0);
}

TEST_CASE("the grace before another target takes a place follows its setting",
          "[metaserver][settings]") {
  RepairWorld world(3, {.repair_after = absl::Minutes(10)});
  const auto chains = world.Chains();
  world[1].up = false;
  world.Pass(absl::Seconds(20));
  REQUIRE(world.Chains().contains("2"));  // a copy short
  REQUIRE(world.fixture.state->ChangeSetting("repair.after", "15s").ok());
  world.Pass(absl::Seconds(2));
  REQUIRE(!world.Chains().contains("2"));
  REQUIRE(world.Chains() != chains);
}

TEST_CASE("the time to offline follows its setting", "[metaserver][settings]") {
  RepairWorld world(3);
  REQUIRE(world.fixture.state->ChangeSetting("offline.after", "30s").ok());
  world[1].up = false;
  world.Pass(absl::Seconds(20));
  REQUIRE_THAT(world.fixture.Problems(), !Contains("offline"));
  REQUIRE(world.fixture.state->ChangeSetting("offline.after", "10s").ok());
  world.Pass(absl::Seconds(1));
  REQUIRE_THAT(world.fixture.Problems(), Contains("offline"));
}

TEST_CASE("no server counts as offline before it has stopped serving by itself",
          "[metaserver][settings]") {
  ClusterFixture fixture;
  wire::RegisterRequest request = ChunkserverRequest(1);
  request.set_fence_after_ms(4000);
  const absl::Status refused = fixture.state->Register(request).status();
  REQUIRE(absl::IsFailedPrecondition(refused));
  REQUIRE_THAT(std::string(refused.message()), Contains("`penstock config set offline.after 8s`"));
  REQUIRE(fixture.state->ChangeSetting("offline.after", "8s").ok());
  fixture.Register(request);
  const absl::Status shorter = fixture.state->ChangeSetting("offline.after", "7s").status();
  REQUIRE(absl::IsFailedPrecondition(shorter));
  REQUIRE_THAT(std::string(shorter.message()), Contains("--fence-after"));
  REQUIRE(absl::IsFailedPrecondition(fixture.state->ChangeSetting("offline.after", "").status()));
  // Not known any more: it might be anything.
  fixture.Reopen();
  REQUIRE(absl::IsUnavailable(fixture.state->ChangeSetting("offline.after", "5s").status()));
  // Offline: it has stopped serving, by what was set then.
  fixture.clock.Advance(absl::Seconds(9));
  REQUIRE(fixture.state->Tick().ok());
  REQUIRE(fixture.state->ChangeSetting("offline.after", "5s").ok());
}
