// Failure handling in ClusterState, one server with one target each, 64 groups.
#include <catch2/catch.hpp>

#include "tests/metaserver/cluster/repair_world.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

using Chains = std::map<std::string, int>;

}  // namespace

TEST_CASE("a silent server leaves its groups, in one map version, and writes go on",
          "[metaserver][repair]") {
  RepairWorld world(2);
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
  world.Pass(absl::Seconds(2));
  const uint64_t version = world.fixture.state->map().version();
  world[2].up = false;
  world.Pass(absl::Seconds(5));
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
  world.Pass(absl::Seconds(1));
  REQUIRE(world.Chains() == Chains{{"1", 64}});
  REQUIRE(world.Group(7).epoch() == 2);
  REQUIRE(world.fixture.state->map().version() == version + 1);
  // Confirmation changes no map.
  world.Pass(absl::Seconds(3));
  REQUIRE(world.fixture.state->map().version() == version + 1);
}

TEST_CASE("the last copy is never removed, and nobody goes when all fall silent",
          "[metaserver][repair]") {
  RepairWorld world(2);
  world[2].up = false;
  world.Pass(absl::Seconds(7));
  world[1].up = false;
  world.Pass(absl::Seconds(20));
  REQUIRE(world.Chains() == Chains{{"1", 64}});
  RepairWorld both(2);
  both[1].up = both[2].up = false;
  both.Pass(absl::Seconds(20));
  REQUIRE(both.Chains() == Chains{{"1 2", 64}});
  both[2].Register();  // the same boot: nothing was lost
  both.Pass(absl::Seconds(2));
  REQUIRE(both.Chains() == Chains{{"2", 64}});
}

TEST_CASE("a returned server syncs and is in sync again", "[metaserver][repair]") {
  RepairWorld world(2);
  world[2].up = false;
  world.Pass(absl::Seconds(7));
  world[2].Register();
  world.Pass(absl::Seconds(1));
  REQUIRE(world.Chains() == Chains{{"1 2?", 64}});
  REQUIRE(world.Group(3).reconciling() == 0);
  // Lies and mistakes change nothing: another's target, an old epoch, one that is no member.
  const uint32_t epoch = world.Group(3).epoch();
  world[1].Beat({FakeServer::Said(3, epoch, 2)});
  world[2].Beat({FakeServer::Said(3, epoch - 1, 2), FakeServer::Said(3, epoch + 1, 2),
                 FakeServer::Said(3, epoch, 1), FakeServer::Said(3, epoch, 9),
                 FakeServer::Said(4711, epoch, 2)});
  world.Pass(absl::Seconds(1));
  REQUIRE(world.Chains() == Chains{{"1 2?", 64}});
  const uint64_t version = world.fixture.state->map().version();
  world.Pass(absl::Seconds(1), true);
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
  REQUIRE(world.fixture.state->map().version() == version + 1);
  world.Pass(absl::Seconds(5), true);
  REQUIRE(world.fixture.state->map().version() == version + 1);
}

TEST_CASE("only so many groups sync onto a target at a time", "[metaserver][repair]") {
  RepairWorld world(2, {.repairs_per_target = 10});
  world[2].up = false;
  world.Pass(absl::Seconds(7));
  world[2].Register();
  world.Pass(absl::Seconds(2));
  REQUIRE(world.Chains() == Chains{{"1", 54}, {"1 2?", 10}});
  world.Pass(absl::Seconds(20), true);
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
}

TEST_CASE("a rebooted server syncs, one that only started again does not", "[metaserver][repair]") {
  RepairWorld world(2);
  world.Pass(absl::Seconds(1));
  const uint64_t version = world.fixture.state->map().version();
  world[1].Register();
  world.Pass(absl::Seconds(1));
  REQUIRE(world.fixture.state->map().version() == version);
  world[1].Reboot();
  REQUIRE(world.Chains() == Chains{{"1? 2", 64}});  // with the registration itself
  REQUIRE(world.fixture.state->map().version() == version + 1);
  world.Pass(absl::Seconds(2), true);
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
}

TEST_CASE("when all rebooted they reconcile, and are in sync when all of them said so",
          "[metaserver][repair]") {
  RepairWorld world(2);
  world[1].Reboot();
  world[2].Reboot();
  REQUIRE(world.Chains() == Chains{{"1? 2?", 64}});
  REQUIRE(world.Group(0).reconciling() == 2);
  world[1].Beat(world[1].Synced());
  world.Pass(absl::Seconds(3));
  REQUIRE(world.Chains() == Chains{{"1? 2?", 64}});
  // What was said before another boot does not count.
  world[1].Reboot();
  world[2].Beat(world[2].Synced());
  world.Pass(absl::Seconds(3));
  REQUIRE(world.Chains() == Chains{{"1? 2?", 64}});
  world[1].Beat(world[1].Synced());
  world.Pass(absl::Seconds(1));
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
  REQUIRE(world.Group(0).reconciling() == 0);
}

TEST_CASE("a reconciling group waits for each of its copies", "[metaserver][repair]") {
  RepairWorld world(2);
  world[1].Reboot();
  world[2].Reboot();
  world[2].up = false;
  world[1].Beat(world[1].Synced());
  world.Pass(absl::Seconds(30), false);
  REQUIRE(world.Chains() == Chains{{"1? 2?", 64}});
  world[2].Register();
  world.Pass(absl::Seconds(2), true);
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
}

TEST_CASE("a sent-away copy counts until a survivor has taken the epoch", "[metaserver][repair]") {
  for (bool confirmed : {false, true}) {
    RepairWorld world(2);
    world[2].up = false;
    world.Pass(absl::Seconds(5));
    world[1].hears_map = confirmed;
    world.Pass(absl::Seconds(3));
    REQUIRE(world.Chains() == Chains{{"1", 64}});
    world[1].Reboot();
    REQUIRE(world.Chains() == Chains{{confirmed ? "1?" : "1? 2?", 64}});
  }
}

TEST_CASE("failure handling goes on after a restart of the metaserver at any step",
          "[metaserver][repair]") {
  RepairWorld world(2);
  const auto restart = [&] {
    const auto before = world.Chains();
    world.fixture.Reopen();
    REQUIRE(world.Chains() == before);
    REQUIRE(world.fixture.state->Tick().ok());
    REQUIRE(world.Chains() == before);  // nobody goes for silence before our start
  };
  world[2].up = false;
  world.Pass(absl::Seconds(4));
  restart();
  world.Pass(absl::Seconds(5));
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
  world.Pass(absl::Seconds(1));
  REQUIRE(world.Chains() == Chains{{"1", 64}});
  restart();
  world.Pass(absl::Seconds(2));
  world[2].Register();
  world.Pass(absl::Seconds(1));
  REQUIRE(world.Chains() == Chains{{"1 2?", 64}});
  world[2].Beat(world[2].Synced());
  restart();  // what was said is said again
  world.Pass(absl::Seconds(2));
  REQUIRE(world.Chains() == Chains{{"1 2?", 64}});
  world.Pass(absl::Seconds(2), true);
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
  world[1].Reboot();
  world[2].Reboot();
  restart();
  REQUIRE(world.Group(9).reconciling() == 2);
  world.Pass(absl::Seconds(2), true);
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
}

TEST_CASE("an absent target leaves at once, a failed one when its server has heard of it",
          "[metaserver][repair]") {
  RepairWorld world(2);
  world.Pass(absl::Seconds(1));
  world[2].state = wire::TARGET_FAILED;
  world[2].hears_map = false;
  world.Pass(absl::Seconds(1));
  REQUIRE(world.Chains() == Chains{{"1 2?", 64}});  // it serves no reads, and all writes need it
  world.Pass(absl::Seconds(3), true);
  REQUIRE(world.Chains() == Chains{{"1 2?", 64}});  // nor does it come back by saying so
  world[2].hears_map = true;
  world.Pass(absl::Seconds(1));
  REQUIRE(world.Chains() == Chains{{"1", 64}});
  world[2].state = wire::TARGET_ONLINE;
  world.Pass(absl::Seconds(2), true);
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
  world[1].state = wire::TARGET_ABSENT;
  world.Pass(absl::Seconds(1));
  REQUIRE(world.Chains() == Chains{{"2", 64}});
}

TEST_CASE("a server has its time after the registration too", "[metaserver][repair]") {
  RepairWorld world(2);
  world[1].Register();
  world[2].Register();
  world[2].up = false;  // no heartbeat yet
  world.Pass(absl::Seconds(5));
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
  world.Pass(absl::Seconds(1));
  REQUIRE(world.Chains() == Chains{{"1", 64}});
}
