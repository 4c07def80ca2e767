#include "tests/simulation/simulation.h"

#include <spdlog/spdlog.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <random>

#include "tests/testing/temp_dir.h"

namespace penstock::simulation {
namespace {

// Of one run of the tests, in about 20 s. PENSTOCK_TEST_SEED replays one, PENSTOCK_TEST_SEEDS runs
// as many as it says (both: from the one on), PENSTOCK_TEST_SECONDS as many as fit,
// PENSTOCK_TEST_BROKEN breaks a rule.
constexpr uint64_t kSeeds = 3500;

std::optional<uint64_t> Setting(const char* name) {
  const char* given = std::getenv(name);
  if (given == nullptr) return std::nullopt;
  return std::strtoull(given, nullptr, 10);
}

// One for all clusters of a test: opening one takes longer than a cluster lives.
class Store {
 public:
  Store() {
    spdlog::set_level(spdlog::level::off);
    auto opened = metaserver::MetaStore::Open({.dir = dir_.path(), .block_cache_bytes = 8 << 20});
    REQUIRE(opened.ok());
    store_ = *std::move(opened);
  }
  metaserver::MetaStore* get() { return store_.get(); }

 private:
  testing::TempDir dir_;
  std::unique_ptr<metaserver::MetaStore> store_;
};

struct Totals {
  uint64_t seeds = 0;
  Checks::Counts counts;
  int64_t restarts = 0;
  int64_t seconds = 0;
  int64_t left_behind = 0;

  void Add(const Simulation& simulation) {
    const Checks::Counts& more = simulation.counts();
    ++seeds;
    counts.acknowledged += more.acknowledged;
    counts.synced += more.synced;
    counts.reads += more.reads;
    counts.repairs += more.repairs;
    counts.exchanges += more.exchanges;
    counts.epochs += more.epochs;
    restarts += simulation.metaserver_starts() - 1;
    seconds += simulation.time().now_ms() / 1000;
    left_behind += simulation.left_behind();
  }
  void Print() const {
    std::cout << "cluster simulation: " << seeds << " seeds, " << seconds << " s simulated, "
              << counts.acknowledged << " writes acknowledged, " << counts.synced << " synced, "
              << counts.reads << " reads, " << counts.epochs << " epochs, " << counts.repairs
              << " repairs, " << counts.exchanges << " exchanges after a loss of all, " << restarts
              << " metaserver restarts, " << left_behind << " dead chunks left behind" << std::endl;
  }
};

}  // namespace

TEST_CASE("whatever fails, a cluster keeps its promises and comes to rest", "[simulation]") {
  Store store;
  const auto begun = std::chrono::steady_clock::now();
  const auto one = Setting("PENSTOCK_TEST_SEED");
  const auto seconds = Setting("PENSTOCK_TEST_SECONDS");
  // Always the same ones: what only other seeds find is found by a soak, not by somebody else's
  // run.
  const uint64_t first = one.value_or(1);
  uint64_t count = Setting("PENSTOCK_TEST_SEEDS").value_or(one ? 1 : kSeeds);
  if (seconds) count = UINT64_MAX - first;
  std::cout << "cluster simulation: seeds from " << first << std::endl;
  Totals totals;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    Shape shape = ShapeOf(seed);
    shape.broken = static_cast<Broken>(Setting("PENSTOCK_TEST_BROKEN").value_or(0));
    Simulation simulation(seed, shape, store.get());
    const std::string failure = simulation.Run();
    INFO("replay with PENSTOCK_TEST_SEED=" << seed << ", PENSTOCK_TEST_TRACE=1 shows it");
    REQUIRE(failure == "");
    totals.Add(simulation);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begun;
    if (seconds && passed.count() > static_cast<double>(*seconds)) break;
  }
  totals.Print();
  REQUIRE(totals.counts.acknowledged > 0);
  REQUIRE(totals.left_behind == 0);
}

TEST_CASE("a cluster without trouble acknowledges every write", "[simulation]") {
  Store store;
  const Shape shape;
  Simulation simulation(1, shape, store.get());
  REQUIRE(simulation.Run() == "");
  REQUIRE(simulation.counts().acknowledged == shape.clients * shape.writes);
  REQUIRE(simulation.counts().epochs == 0);
}

// A late write, a copying member or a power cut could bring chunks back (seeds of each).
TEST_CASE("a deleted content leaves nothing behind", "[simulation]") {
  Store store;
  for (const uint64_t seed : {683, 1109, 1250}) {
    Simulation simulation(seed, ShapeOf(seed), store.get());
    REQUIRE(simulation.Run() == "");
    INFO("seed " << seed);
    CHECK(simulation.left_behind() == 0);
  }
}

// Each of them is one mistake in real code, made at the seam to the simulation instead.
TEST_CASE("a broken rule is found", "[simulation]") {
  constexpr uint64_t kEnough = 1000;
  Store store;
  for (int broken = 1; broken <= static_cast<int>(Broken::kLast); ++broken) {
    std::string found;
    uint64_t seed = 0;
    while (found.empty() && seed < kEnough) {
      Shape shape = ShapeOf(++seed);
      shape.broken = static_cast<Broken>(broken);
      found = Simulation(seed, shape, store.get()).Run();
    }
    std::cout << "cluster simulation: broken rule " << broken << ", seed " << seed << ": " << found
              << std::endl;
    CHECK_FALSE(found.empty());
  }
}

TEST_CASE("a seed replays exactly", "[simulation]") {
  Store store;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Simulation one(seed, ShapeOf(seed), store.get());
    REQUIRE(one.Run() == "");
    Simulation other(seed, ShapeOf(seed), store.get());
    REQUIRE(other.Run() == "");
    INFO("seed " << seed);
    REQUIRE(one.time().events() == other.time().events());
    REQUIRE(one.time().digest() == other.time().digest());
  }
}

}  // namespace penstock::simulation
