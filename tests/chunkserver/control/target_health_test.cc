#include "chunkserver/control/target_health.h"

#include <atomic>
#include <catch2/catch.hpp>

#include "tests/chunkserver/control/fake_cluster.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/temp_dir.h"

namespace penstock::chunkserver {
namespace {

// Nobody who looks for a file of `hung` comes back, until it is let go.
struct HangingFileSystem : penstock::testing::FaultyFileSystem {
  absl::StatusOr<bool> Exists(const std::string& path) override {
    while (hangs && path.starts_with(hung)) absl::SleepFor(absl::Milliseconds(1));
    return PosixFileSystem()->Exists(path);
  }
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    return PosixFileSystem()->Open(path, mode);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    return PosixFileSystem()->List(path);
  }
  std::string hung;
  std::atomic<bool> hangs{false};
};

struct Disks {
  Disks() {
    std::vector<std::unique_ptr<Target>> all;
    for (uint32_t i : {1, 2}) {
      auto target = std::make_unique<Target>(SystemClock());
      target->path = target->dir = dir.path() + "/t" + std::to_string(i);
      target->uuid = "uuid" + std::to_string(i);
      target->cluster_id = "c";
      target->id = i;
      const TargetIdentity identity{"c", target->uuid, TargetId(i)};
      REQUIRE(ChunkStore::Format(target->dir, identity, PosixFileSystem()).ok());
      ChunkStoreOptions options;
      options.dir = target->dir;
      options.cluster_id = "c";
      target->store = ChunkStore::Open(options, "boot", PosixFileSystem(), SystemClock()).value();
      all.push_back(std::move(target));
    }
    targets = std::make_unique<Targets>(std::move(all));
    fs.hung = dir.path() + "/t1";
  }
  wire::TargetState State(size_t i) { return health->Last().at(i).state(); }

  penstock::testing::TempDir dir;
  penstock::testing::FakeClock clock;
  HangingFileSystem fs;
  std::unique_ptr<Targets> targets;
  std::unique_ptr<HealthSampler> health;
};

TEST_CASE("a disk that hangs fails, and the others go on being looked at", "[chunkserver][disk]") {
  Disks disks;
  disks.health = std::make_unique<HealthSampler>(
      HealthSampler::Parts{disks.targets.get(), &disks.fs, &disks.clock, "boot"});
  disks.health->Start();
  REQUIRE(disks.State(0) == wire::TARGET_ONLINE);
  disks.fs.hangs = true;
  REQUIRE(Eventually([&] {
    disks.clock.Advance(absl::Seconds(1));  // little, so that no look of the other takes long
    return disks.State(0) == wire::TARGET_FAILED;
  }));
  REQUIRE(disks.health->Last()[0].problem().find("restart the chunkserver") != std::string::npos);
  REQUIRE(disks.targets->all()[0]->failed);
  disks.fs.hangs = false;
  REQUIRE(Eventually([&] { return disks.State(1) == wire::TARGET_ONLINE; }));
  REQUIRE(disks.State(0) == wire::TARGET_FAILED);  // it stays so
  disks.health->Stop();
}

}  // namespace
}  // namespace penstock::chunkserver
