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
  REQUIRE(world.fixture.Problems().find("holds no groups") == std::string::npos);  // only for now
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

TEST_CASE("after the grace period another target takes the place", "[metaserver][repair]") {
  RepairWorld world(3, {.repair_after = absl::Minutes(1)});
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});  // target 3 registered too late
  world[2].up = false;
  world.Pass(absl::Seconds(6));
  REQUIRE(world.Chains() == Chains{{"1", 64}});
  world.Pass(absl::Seconds(59));
  REQUIRE(world.Chains() == Chains{{"1", 64}});
  world.Pass(absl::Seconds(1));
  REQUIRE(world.Chains() == Chains{{"1 3?", 64}});
  world.Pass(absl::Seconds(2), true);
  REQUIRE(world.Chains() == Chains{{"1 3", 64}});
  // The old one comes back to a group that has all its copies: it only drops its chunks.
  world[2].Register();
  world.Pass(absl::Seconds(2), true);
  REQUIRE(world.Chains() == Chains{{"1 3", 64}});
}

TEST_CASE("a former member drops its chunks by an order for the present epoch",
          "[metaserver][repair]") {
  RepairWorld world(3, {.repair_after = absl::Seconds(10)});
  const auto drops = [](const wire::HeartbeatResponse& response) {
    std::vector<wire::DropGroup> found;
    for (const wire::Order& order : response.orders()) {
      if (order.has_drop_group()) found.push_back(order.drop_group());
    }
    return found;
  };
  world[2].up = false;
  world.Pass(absl::Seconds(20), true);
  REQUIRE(world.Chains() == Chains{{"1 3", 64}});
  world[2].Register();
  world.Pass(absl::Seconds(1));
  world.fixture.clock.Advance(kOrderResendAfter);
  const wire::HeartbeatResponse reply = world[2].Beat();
  REQUIRE(drops(reply).size() == 64);
  REQUIRE(drops(reply)[0].target_id() == 2);
  REQUIRE(drops(reply)[0].epoch() == world.Group(drops(reply)[0].group()).epoch());
  REQUIRE(drops(world[1].Beat()).empty());
  // A new epoch makes them void: they are given anew when the group is in sync again.
  world[3].Reboot();
  world.Pass(absl::Seconds(1));
  for (const wire::Order& order : reply.orders()) world[2].done.push_back(order.order_id());
  world.Pass(absl::Seconds(1), true);
  world.Pass(absl::Seconds(2));
  world[2].done.clear();
  world.fixture.clock.Advance(kOrderResendAfter);
  const wire::HeartbeatResponse anew = world[2].Beat();
  REQUIRE(drops(anew).size() == 64);
  REQUIRE(drops(anew)[5].epoch() == world.Group(drops(anew)[5].group()).epoch());
  for (const wire::Order& order : anew.orders()) world[2].done.push_back(order.order_id());
  const uint64_t version = world.fixture.state->map().version();
  world.Pass(absl::Seconds(1));
  world[2].done.clear();
  REQUIRE(world.fixture.state->map().version() == version);  // that is no news for the map
  REQUIRE(world.fixture.state->orders().under_way() == 0);
  world.fixture.Reopen();
  world.Pass(absl::Seconds(3));
  REQUIRE(world.fixture.state->orders().under_way() == 0);  // it was made durable
}

TEST_CASE("a former member that is needed again is not told to drop anything",
          "[metaserver][repair]") {
  RepairWorld world(2);
  world[2].up = false;
  world.Pass(absl::Seconds(10));
  world[2].Register();
  world.Pass(absl::Seconds(5), true);
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
  REQUIRE(world.fixture.state->orders().under_way() == 0);
}

TEST_CASE("replacements share no failure domain, have room, and are spread",
          "[metaserver][repair]") {
  // Targets 1 and 2 in racks a and b hold the groups; 3 is in a, 4 is full, 5 and 6 are fine.
  RepairWorld world(6, {.repair_after = absl::Seconds(10)}, {"a", "b", "a", "c", "d", "e"});
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
  world[4].free_bytes = 4 * kGiB;
  world[2].up = false;
  world.Pass(absl::Seconds(18));
  REQUIRE(world.Chains() == Chains{{"1 5?", 32}, {"1 6?", 32}});
  world.Pass(absl::Seconds(2), true);
  REQUIRE(world.Chains() == Chains{{"1 5", 32}, {"1 6", 32}});
}

TEST_CASE("a truncation does not wait for a server that is away", "[metaserver][repair]") {
  RepairWorld world(2);
  world.Pass(absl::Seconds(1));
  wire::TruncateContent cut;
  cut.mutable_layout()->set_content_id(5);
  cut.mutable_layout()->set_storage_class(1);
  cut.mutable_layout()->set_chunk_size_log2(20);
  cut.set_old_size(uint64_t{64} << 20);  // all groups
  bool done = false;
  REQUIRE(world.fixture.state->orders().Truncate(cut, [&] { done = true; }));
  const wire::HeartbeatResponse first = world[1].Beat();
  REQUIRE(first.orders_size() == 1);
  world[1].done = {first.orders(0).order_id()};
  world.Pass(absl::Seconds(1));
  world[1].done.clear();
  REQUIRE(!done);  // it is not the head of all
  world[2].up = false;
  world.Pass(absl::Seconds(6));
  REQUIRE(!done);  // what it did as no head does not count: it has to do it once more
  const wire::HeartbeatResponse again = world[1].Beat();
  REQUIRE(again.orders_size() <= 1);
  world[1].done = {first.orders(0).order_id()};
  world.Pass(absl::Seconds(1));
  REQUIRE(!done);
  world[1].done = {first.orders(0).order_id() + 1};
  world.Pass(absl::Seconds(1));
  REQUIRE(done);
}

TEST_CASE("people see what is repaired and what waits", "[metaserver][repair]") {
  RepairWorld world(3, {.repair_after = absl::Minutes(10)});
  const auto repair = [&] { return world.fixture.state->View().repair; };
  using Catch::Contains;
  REQUIRE(repair().below_goal() == 0);
  world[2].up = false;
  world.Pass(absl::Minutes(3));
  REQUIRE(repair().below_goal() == 64);
  REQUIRE(repair().one_copy() == 64);
  REQUIRE(repair().missing() == 64);
  REQUIRE_THAT(
      world.fixture.Problems(),
      Contains("target 2 (/data/cs2/t1 of node2) is away since 2 min: 64 groups are a copy "
               "short; another target takes over in 7 min unless it returns"));
  world[2].Register();
  wire::SyncProgress& progress = world[2].progress.emplace_back();
  progress.set_target_id(2);
  progress.set_groups_left(60);
  progress.set_chunks_done(1234);
  progress.set_bytes_fetched(5 << 20);
  world.Pass(absl::Seconds(1));
  world.Pass(absl::Seconds(1));
  REQUIRE(repair().syncing() == 64);
  REQUIRE(repair().missing() == 0);
  REQUIRE(world.fixture.state->View().targets[1].groups_syncing() == 64);
  REQUIRE_THAT(world.fixture.Problems(),
               Contains("64 groups are being brought up to date on target 2 (/data/cs2/t1 of node2)"
                        ": 60 left, 1234 chunks compared, 5 MiB fetched"));
  world[2].progress.clear();
  world.Pass(absl::Seconds(2), true);
  REQUIRE(repair().SerializeAsString().empty());
  REQUIRE_THAT(world.fixture.Problems(), !Contains("groups are"));
  world[1].up = world[2].up = false;
  world.Pass(absl::Seconds(7));
  REQUIRE_THAT(world.fixture.Problems(),
               Contains("64 groups have no copy online") &&
                   Contains("bring back server 1 (node1, 127.0.0.1:7411), server 2 (node2"));
  world[1].Reboot();
  world[2].Reboot();
  world[2].up = false;
  world.Pass(absl::Seconds(7));
  REQUIRE(repair().reconciling() == 64);
  REQUIRE_THAT(world.fixture.Problems(),
               Contains("wait for every copy that counts: bring back server 2 (node2"));
}

TEST_CASE("groups that no target can take are told", "[metaserver][repair]") {
  RepairWorld world(2, {.repair_after = absl::Seconds(10)});
  world[2].up = false;
  world.Pass(absl::Seconds(30));
  REQUIRE(world.Chains() == Chains{{"1", 64}});
  REQUIRE_THAT(world.fixture.Problems(),
               Catch::Contains("64 groups are a copy short and no target can take it"));
}

TEST_CASE("nobody is silent because the metaserver stood still", "[metaserver][repair]") {
  RepairWorld world(3);
  world[2].up = false;
  world.Pass(absl::Seconds(3));
  world.fixture.clock.Advance(absl::Minutes(1));
  world.fixture.state->StoodStill(absl::Minutes(1));
  REQUIRE(world.fixture.state->Tick().ok());
  REQUIRE(world.Chains() == Chains{{"1 2", 64}});
  world.Pass(absl::Seconds(3));  // silent for 6 s in which we listened
  REQUIRE(world.Chains() == Chains{{"1", 64}});
}
