// Drains and rebalances of random clusters, by the planner that the metaserver runs.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/metaserver/cluster/move_world.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

constexpr int kMostTicks = 3000;

struct Seeds {
  uint64_t first = 1;
  uint64_t last = 20;
};
Seeds SeedsToRun() {
  const char* given = std::getenv("PENSTOCK_SEED");
  if (given == nullptr) return {};
  const uint64_t seed = std::strtoull(given, nullptr, 10);
  return {seed, seed};
}

MoveShape RandomShape(uint64_t seed) {
  std::mt19937_64 random(seed);
  auto pick = [&](int n) { return static_cast<int>(random() % static_cast<uint64_t>(n)); };
  MoveShape shape;
  shape.replication = 1 + static_cast<uint32_t>(pick(3));
  shape.servers = static_cast<int>(shape.replication) + 2 + pick(4);
  shape.targets_each = 1 + pick(2);
  shape.racks = pick(3) == 0 ? static_cast<int>(shape.replication) + 2 : 0;
  shape.equal_sizes = pick(2) == 0;
  return shape;
}

// Runs until nothing changes any more; how many ticks it took.
int RunToRest(MoveWorld& world) {
  int quiet = 0;
  for (int tick = 1; tick <= kMostTicks; ++tick) {
    const RepairPlan plan = world.Tick();
    world.Check();
    quiet = plan.groups.empty() && plan.drops.empty() && world.AtRest() ? quiet + 1 : 0;
    if (quiet == 5) return tick;
  }
  return kMostTicks;
}

}  // namespace

TEST_CASE("a drain empties its targets, with every copy in sync and domains kept",
          "[metaserver][drain]") {
  const Seeds seeds = SeedsToRun();
  size_t drained = 0;
  for (uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    INFO("PENSTOCK_SEED=" << seed);
    MoveWorld world(seed, RandomShape(seed));
    std::vector<TargetId> leavers;
    for (int i = 0; i < 2; ++i) {
      const TargetId target =
          world
              .Targets()[static_cast<size_t>(world.Pick(static_cast<int>(world.Targets().size())))];
      const TargetFactsMap facts = world.Facts();
      if (facts.at(target).draining) continue;
      const auto moves = ForecastDrain({target, TargetId()}, world.members, world.classes, facts);
      if (!moves.ok()) continue;
      REQUIRE(moves->size() <= facts.at(target).groups);
      world.inventory.targets.at(target).record.set_draining(true);
      leavers.push_back(target);
      for (int tick = world.Pick(4); tick > 0; --tick) {
        world.Tick();
        world.Check();
      }
    }
    REQUIRE(RunToRest(world) < kMostTicks);
    for (TargetId target : leavers) REQUIRE(world.Held().at(target) == 0);
    drained += leavers.size();
    // Nothing is left there either.
    for (TargetId target : leavers) REQUIRE(world.Facts().at(target).stored_bytes == 0);
  }
  REQUIRE(drained > (seeds.last - seeds.first) / 2);
}

TEST_CASE("a drain that ends early leaves every group whole", "[metaserver][drain]") {
  MoveWorld world(1, {.servers = 4});
  const TargetId target{2};
  world.inventory.targets.at(target).record.set_draining(true);
  for (int tick = 0; tick < 3; ++tick) {
    world.Tick();
    world.Check();
  }
  const int held = world.Held().at(target);
  world.inventory.targets.at(target).record.set_draining(false);
  REQUIRE(RunToRest(world) < kMostTicks);
  REQUIRE(world.Held().at(target) <= held);
  REQUIRE(world.Held().at(target) > 0);
}

TEST_CASE("a drain onto one target brings all there that may lie there", "[metaserver][drain]") {
  MoveWorld world(3, {.servers = 4, .new_servers = 1});
  const int held = world.Held().at(TargetId(1));
  world.inventory.targets.at(TargetId(1)).record.set_draining(true);
  world.inventory.targets.at(TargetId(1)).record.set_drain_onto(5);
  REQUIRE(RunToRest(world) < kMostTicks);
  REQUIRE(world.Held().at(TargetId(1)) == 0);
  REQUIRE(world.Held().at(TargetId(5)) == held);
}

TEST_CASE("a drain is refused when the others lack room or failure domains",
          "[metaserver][drain]") {
  MoveWorld few(1, {.servers = 2});
  auto refused = ForecastDrain({TargetId(1), TargetId()}, few.members, few.classes, few.Facts());
  REQUIRE(absl::IsFailedPrecondition(refused.status()));
  REQUIRE(std::string(refused.status().message()).find("failure domain") != std::string::npos);
  MoveWorld full(1, {.servers = 3, .fill = 0.8});
  refused = ForecastDrain({TargetId(1), TargetId()}, full.members, full.classes, full.Facts());
  REQUIRE(absl::IsFailedPrecondition(refused.status()));
  REQUIRE(std::string(refused.status().message()).find("bytes") != std::string::npos);
  refused = ForecastDrain({TargetId(9), TargetId()}, full.members, full.classes, full.Facts());
  REQUIRE(absl::IsNotFound(refused.status()));
}

TEST_CASE("a rebalance fills an empty target as the others, leads included, and ends",
          "[metaserver][rebalance]") {
  const Seeds seeds = SeedsToRun();
  for (uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    INFO("PENSTOCK_SEED=" << seed);
    MoveShape shape = RandomShape(seed);
    shape.racks = 0;
    shape.new_servers = 1 + static_cast<int>(seed % 2);
    shape.groups = 256;
    MoveWorld world(seed, shape);
    world.wish = {.running = true};
    REQUIRE(RunToRest(world) < kMostTicks);
    REQUIRE(!world.wish.running);
    const UsedParts used = MeasureUsed(world.Facts());
    REQUIRE(used.most - used.least <= 0.05);
    double size = 0;
    for (const auto& [id, facts] : world.Facts()) size += facts.size;
    const std::map<TargetId, int> heads = world.Heads();
    for (const auto& [id, held] : world.Held()) {
      const double share = world.Facts().at(id).size / size;
      INFO("target " << id.value() << " groups " << held << " heads " << heads.at(id));
      REQUIRE(held > 0.85 * share * 256 * shape.replication);
      REQUIRE(held < 1.15 * share * 256 * shape.replication);
      REQUIRE(heads.at(id) > 0.4 * share * 256);
    }
    // Once balanced, nothing moves again.
    world.wish = {.running = true};
    world.moved_bytes = 0;
    REQUIRE(RunToRest(world) < 10);
    REQUIRE(world.moved_bytes == 0);
  }
}

TEST_CASE("racks and unequal disks do not keep a rebalance from ending",
          "[metaserver][rebalance]") {
  const Seeds seeds = SeedsToRun();
  for (uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    INFO("PENSTOCK_SEED=" << seed);
    MoveShape shape = RandomShape(seed);
    shape.new_servers = static_cast<int>(seed % 3);
    shape.fill = 0.2 + 0.1 * static_cast<double>(seed % 5);
    MoveWorld world(seed, shape);
    world.wish = {.running = true, .threshold = 0.01 * static_cast<double>(1 + seed % 10)};
    REQUIRE(RunToRest(world) < kMostTicks);
    REQUIRE(!world.wish.running);
  }
}

TEST_CASE("a rebalance keeps to its rate and waits for a drain", "[metaserver][rebalance]") {
  MoveWorld world(1, {.servers = 3, .new_servers = 1});
  world.wish = {.running = true, .max_bytes_per_second = kGiB};
  for (int tick = 0; tick < 50; ++tick) {
    world.Tick();
    world.Check();
  }
  REQUIRE(world.moved_bytes > 0);
  REQUIRE(world.moved_bytes < 14 * kGiB);  // in 10 s, and one group more
  world.inventory.targets.at(TargetId(2)).record.set_draining(true);
  const uint64_t before = world.moved_bytes;
  const RepairPlan plan = world.Tick();
  REQUIRE(plan.rebalance.waits_for.find("drained") != std::string::npos);
  REQUIRE(world.moved_bytes == before);
  world.wish.max_bytes_per_second = 0;
  REQUIRE(RunToRest(world) < kMostTicks);
  REQUIRE(world.Held().at(TargetId(2)) == 0);
  REQUIRE(!world.wish.running);
}

TEST_CASE("a drain goes on when the target that another drain went onto was removed",
          "[metaserver][drain]") {
  MoveWorld world(1, {.servers = 4});
  world.inventory.targets.at(TargetId(1)).record.set_draining(true);
  world.inventory.targets.at(TargetId(1)).record.set_drain_onto(99);
  const auto moves =
      ForecastDrain({TargetId(2), TargetId()}, world.members, world.classes, world.Facts());
  REQUIRE(moves.ok());
  REQUIRE(RunToRest(world) < kMostTicks);
  REQUIRE(world.Held().at(TargetId(1)) == 0);
}

TEST_CASE("a rebalance begins as many groups a tick as its rate allows",
          "[metaserver][rebalance]") {
  MoveWorld world(1, {.servers = 3, .new_servers = 1});
  world.wish = {.running = true, .max_bytes_per_second = 8 * kGiB};
  for (int tick = 0; tick < 5; ++tick) world.Tick();
  REQUIRE(world.moved_bytes > 10 * kGiB);  // of about 1 GiB each
  REQUIRE(world.moved_bytes < 18 * kGiB);  // a second to begin with, and this one
}

TEST_CASE("a rebalance leaves room on a disk that others fill", "[metaserver][rebalance]") {
  for (const uint64_t foreign : {96 * kGiB, 80 * kGiB}) {
    MoveWorld world(1, {.servers = 3, .new_servers = 1});
    world.foreign[TargetId(4)] = foreign;
    world.wish = {.running = true};
    REQUIRE(RunToRest(world) < kMostTicks);
    REQUIRE(!world.wish.running);
    REQUIRE((world.Held().at(TargetId(4)) > 0) == (foreign < 95 * kGiB));
    if (foreign < 95 * kGiB) REQUIRE(world.Facts().at(TargetId(4)).free_bytes >= 5 * kGiB);
  }
}
