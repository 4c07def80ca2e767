#include <catch2/catch.hpp>

#include <cstdlib>
#include <iostream>
#include <random>

#include "tests/chunkserver/chain/simulator.h"

namespace penstock::chunkserver {
namespace {

// Seeds of one run of the tests. PENSTOCK_TEST_SEED replays one; PENSTOCK_TEST_SEEDS runs more.
constexpr uint64_t kSeeds = 600;

Simulator::Options OptionsOf(uint64_t seed) {
  std::mt19937_64 random(seed * 977 + 5);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  Simulator::Options options;
  options.members = pick(1, 4);
  options.clients = pick(1, 4);
  options.chunks = pick(1, 3);
  options.full_disk = pick(0, 2) == 0 ? 0.1 : 0;
  options.crash = pick(0, 2) == 0 ? 0 : 0.01 * pick(1, 3);
  options.new_epoch = pick(0, 2) == 0 ? 0 : 0.004;
  options.loss = 0.01 * pick(0, 15);
  options.doubling = 0.01 * pick(0, 20);
  options.long_delay = 0.01 * pick(0, 20);
  options.returning = pick(0, 3) != 0;
  options.power_cut = pick(0, 2) != 0 ? 0 : 0.002 * pick(1, 3);
  options.blackout = pick(0, 3) != 0 ? 0 : 0.002;
  return options;
}

std::string RunSeed(uint64_t seed, int* acknowledged, int* reads, int* repairs) {
  Simulator simulator(seed, OptionsOf(seed));
  std::string failure = simulator.Run();
  *acknowledged += simulator.acknowledged();
  *reads += simulator.served_reads();
  *repairs += simulator.repairs();
  return failure;
}

TEST_CASE("a chain keeps its promises under crashes, echoes, losses and new epochs",
          "[chunkserver][chain][simulator]") {
  uint64_t first = std::random_device()();
  uint64_t count = kSeeds;
  if (const char* given = std::getenv("PENSTOCK_TEST_SEEDS")) count = std::stoull(given);
  if (const char* given = std::getenv("PENSTOCK_TEST_SEED")) {
    first = std::stoull(given);
    count = 1;
  }
  int acknowledged = 0;
  int reads = 0;
  int repairs = 0;
  std::cout << "chain simulator: seeds from " << first << ", " << count << " of them\n";
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const std::string failure = RunSeed(seed, &acknowledged, &reads, &repairs);
    INFO("replay with PENSTOCK_TEST_SEED=" << seed);
    REQUIRE(failure == "");
  }
  std::cout << "chain simulator: " << acknowledged << " writes acknowledged, " << reads
            << " reads served, " << repairs << " repairs\n";
  REQUIRE(acknowledged > 0);
}

TEST_CASE("a chain without trouble acknowledges every write", "[chunkserver][chain][simulator]") {
  Simulator::Options options;
  options.loss = options.doubling = options.long_delay = options.full_disk = 0;
  options.crash = options.new_epoch = 0;
  Simulator simulator(1, options);
  REQUIRE(simulator.Run() == "");
  REQUIRE(simulator.acknowledged() == options.clients * options.writes_per_client);
}

}  // namespace
}  // namespace penstock::chunkserver
