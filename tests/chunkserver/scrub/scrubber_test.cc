#include "chunkserver/scrub/scrubber.h"

#include <absl/strings/str_cat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "chunkserver/store/chunk_index.h"
#include "tests/chunkserver/control/fake_cluster.h"
#include "tests/chunkserver/service/chain_fixture.h"

namespace penstock::chunkserver {
namespace {

std::string LongData(uint32_t index) {
  return absl::StrCat("chunk ", index, std::string(20'000 + index, static_cast<char>('a' + index)));
}

struct ScrubFixture : ChainFixture {
  explicit ScrubFixture(int members, uint32_t chunks = 20) : ChainFixture(members) {
    for (uint32_t i = 0; i < chunks; ++i) REQUIRE(Write(i, LongData(i)).code() == 0);
  }
  void StartScrub(ScrubOptions options = {}) {
    scrubber.reset();
    scrubber = std::make_unique<Scrubber>(
        Scrubber::Parts{member(0).targets.get(), PosixFileSystem(), SystemClock()}, options);
    scrubber->Start();
  }
  void Order(uint64_t number, uint64_t rate = 0) {
    wire::ScrubOrder order;
    order.set_order(number);
    order.set_target_id(1);
    order.set_max_bytes_per_second(rate);
    scrubber->Take({order});
  }
  wire::ScrubProgress Progress() {
    const auto all = scrubber->progress();
    return all.empty() ? wire::ScrubProgress() : all.front();
  }
  std::string ScrubFile() { return member(0).targets->all()[0]->path + "/scrub.json"; }

  std::unique_ptr<Scrubber> scrubber;
};

TEST_CASE("a scrub on order reads everything and finds nothing where nothing is wrong",
          "[chunkserver][scrub]") {
  ScrubFixture f(1);
  f.StartScrub({.every = absl::ZeroDuration()});
  f.Order(3);
  REQUIRE(Eventually([&] { return f.Progress().order_done() == 3; }));
  const wire::ScrubProgress progress = f.Progress();
  REQUIRE(progress.chunks_done() == 20);
  REQUIRE(progress.bytes_done() >= 20 * 20'000);
  REQUIRE(progress.found() == 0);
  REQUIRE(!progress.running());
  REQUIRE(progress.passes() == 1);
  f.Order(3);  // the same once more
  f.Order(2);
  absl::SleepFor(absl::Milliseconds(300));
  REQUIRE(f.Progress().passes() == 1);
}

TEST_CASE("every flipped bit in a slab is found by a scrub and mended from another member",
          "[chunkserver][scrub]") {
  const uint64_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  ScrubFixture f(2);
  REQUIRE(f.member(0).store().Barrier().ok());
  std::set<uint32_t> broken;
  for (uint32_t i = 0; i < 20; ++i) {
    if (random() % 2 == 0) continue;
    const size_t at = random() % (LongData(i).size() - 40);
    f.Damage(0, i % 2 == 0 ? LongData(i) : LongData(i).substr(0, 20 + at % 1000));
    broken.insert(i);
  }
  f.StartScrub({.every = absl::ZeroDuration()});
  f.Order(1);
  REQUIRE(Eventually([&] { return f.Progress().order_done() == 1; }));
  REQUIRE(f.Progress().found() == broken.size());
  std::set<uint32_t> named;
  const wire::ScrubProgress told = f.Progress();
  for (const wire::ScrubFinding& finding : told.findings()) {
    named.insert(finding.index());
    REQUIRE(finding.outcome() == wire::SCRUB_DAMAGED);
  }
  REQUIRE(named == broken);
  f.StartRepair(0);
  REQUIRE(Eventually([&] { return f.Progress().repaired() == broken.size(); }));
  for (uint32_t i = 0; i < 20; ++i) REQUIRE(f.Read(0, i) == LongData(i));
}

TEST_CASE("a scrub goes on where it was, and takes its time", "[chunkserver][scrub]") {
  ScrubFixture f(1);
  f.StartScrub({.every = absl::ZeroDuration(), .save_every = absl::ZeroDuration()});
  f.Order(1, 100'000);  // five chunks a second
  REQUIRE(Eventually([&] { return f.Progress().chunks_done() >= 3; }));
  REQUIRE(f.Progress().running());
  const uint64_t before = f.Progress().chunks_done();
  REQUIRE(before < 18);
  f.StartScrub({.every = absl::ZeroDuration()});
  REQUIRE(Eventually([&] { return f.Progress().running(); }));
  REQUIRE(f.Progress().chunks_done() >= before);
  REQUIRE(f.Progress().order() == 1);
  f.Order(2);  // a newer order, without a cap, begins anew
  REQUIRE(Eventually([&] { return f.Progress().order_done() == 2; }));
  REQUIRE(f.Progress().chunks_done() == 20);
}

TEST_CASE("a pass begins by itself, and not before its days are over", "[chunkserver][scrub]") {
  ScrubFixture f(1, 2);
  f.StartScrub({.every = absl::Hours(24)});
  REQUIRE(Eventually([&] { return f.Progress().running() || f.Progress().passes() == 1; }));
  f.scrubber.reset();
  ScrubState state = *ScrubState::FromJson(*ReadSmallFile(PosixFileSystem(), f.ScrubFile()));
  state.running = false;
  state.started_s = absl::ToUnixSeconds(absl::Now() - absl::Hours(23));
  REQUIRE(WriteSmallFile(PosixFileSystem(), f.ScrubFile(), state.ToJson()).ok());
  f.StartScrub({.every = absl::Hours(24)});
  absl::SleepFor(absl::Milliseconds(300));
  REQUIRE(!f.Progress().running());
  f.StartScrub({.every = absl::Hours(22)});
  REQUIRE(Eventually([&] { return f.Progress().running(); }));
}

TEST_CASE("what cannot be looked at is told, and a pass comes to its end", "[chunkserver][scrub]") {
  ScrubFixture f(1);
  const std::string dir = f.member(0).targets->all()[0]->path;
  f.StopMember(0);
  {
    auto index = ChunkIndex::Open(dir + "/index", 1 << 20, nullptr);
    REQUIRE(index.ok());
    ChunkRecord newer;  // of a program that is not this one
    newer.version = {1, 1};
    newer.image.encoding = 77;
    IndexBatch batch;
    batch.PutRecord(f.Key(5), newer);
    REQUIRE((*index)->Write(batch, ChunkIndex::Sync::kYes).ok());
  }
  f.StartMember(0);
  f.StartScrub({.every = absl::ZeroDuration(), .retry_every = absl::Milliseconds(1)});
  f.Order(1);
  REQUIRE(Eventually([&] { return f.Progress().order_done() == 1; }));
  REQUIRE(f.Progress().found() == 2);  // by the look through the index, and by the listing
  const wire::ScrubProgress told = f.Progress();
  for (const wire::ScrubFinding& finding : told.findings()) {
    REQUIRE(finding.outcome() == wire::SCRUB_DAMAGED);
    REQUIRE(finding.what().find("cannot be checked") != std::string::npos);
  }
  REQUIRE(f.member(0).store().Health().ok());  // it is no damage
  f.scrubber.reset();
}

TEST_CASE("a position that cannot be read only costs time", "[chunkserver][scrub]") {
  ScrubFixture f(1, 2);
  std::ofstream(f.ScrubFile()) << "nonsense";
  f.StartScrub({.every = absl::ZeroDuration()});
  f.Order(1);
  REQUIRE(Eventually([&] { return f.Progress().order_done() == 1; }));
}

}  // namespace
}  // namespace penstock::chunkserver
