#include "chunkserver/targets.h"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include "chunkserver/control/target_health.h"
#include "common/checksum.h"
#include "common/status.h"
#include "tests/testing/temp_dir.h"

namespace penstock::chunkserver {
namespace {

struct Server {
  explicit Server(const testing::TempDir& dir, const std::string& cluster = "c1") {
    options.dir = dir.path() + "/server";
    options.cluster_id = cluster;
    options.reserve_bytes = 0;
    options.targets = {dir.path() + "/t1", dir.path() + "/t2"};
  }
  absl::StatusOr<std::unique_ptr<Targets>> Open() {
    auto loaded = LoadOrMakeIdentity(options.dir, options.cluster_id, fs);
    if (!loaded.ok()) return loaded.status();
    identity = *loaded;
    return Targets::Open(options, "boot", &identity, fs, SystemClock());
  }
  FileSystem* fs = PosixFileSystem();
  ChunkserverOptions options;
  ServerIdentity identity;
};

TEST_CASE("new targets are formatted once and opened ever after", "[chunkserver][targets]") {
  testing::TempDir dir;
  Server server(dir);
  std::string uuid;
  {
    auto targets = server.Open();
    INFO(targets.status());
    REQUIRE(targets.ok());
    REQUIRE((*targets)->all().size() == 2);
    REQUIRE((*targets)->all()[1]->is_open());
    uuid = (*targets)->all()[1]->uuid;
  }
  auto again = server.Open();
  REQUIRE((*again)->all()[1]->uuid == uuid);
}

TEST_CASE("a known target that is missing or empty is absent, never formatted",
          "[chunkserver][targets]") {
  testing::TempDir dir;
  Server server(dir);
  REQUIRE(server.Open().ok());
  std::filesystem::remove_all(dir.path() + "/t1");
  for (int round = 0; round < 2; ++round) {
    auto targets = server.Open();
    REQUIRE(targets.ok());
    const Target& lost = *(*targets)->all()[0];
    REQUIRE(!lost.is_open());
    REQUIRE((*targets)->all()[1]->is_open());
    REQUIRE(HealthOf(lost, "boot").state() == wire::TARGET_ABSENT);
    REQUIRE(!HealthOf(lost, "boot").problem().empty());
    std::filesystem::create_directories(dir.path() + "/t1/lost+found");  // an unmounted disk
  }
}

TEST_CASE("another target in the place of a known one is not used", "[chunkserver][targets]") {
  testing::TempDir dir;
  Server server(dir);
  REQUIRE(server.Open().ok());
  std::filesystem::rename(dir.path() + "/t1", dir.path() + "/x");
  std::filesystem::rename(dir.path() + "/t2", dir.path() + "/t1");
  std::filesystem::rename(dir.path() + "/x", dir.path() + "/t2");
  auto targets = server.Open();
  REQUIRE(targets.ok());
  REQUIRE(!(*targets)->all()[0]->is_open());
  REQUIRE(!(*targets)->all()[1]->is_open());
}

TEST_CASE(
    "a directory that goes or is swapped under a running server is noticed, and not written to",
    "[chunkserver][targets]") {
  testing::TempDir dir;
  Server server(dir);
  auto targets = server.Open();
  REQUIRE(targets.ok());
  Target& first = *(*targets)->all()[0];
  Target& second = *(*targets)->all()[1];
  const auto problem = [&](const Target& target) {
    return *PlaceProblem(target, PosixFileSystem());
  };
  REQUIRE(problem(first) == "");
  const std::string t1 = dir.path() + "/t1", t2 = dir.path() + "/t2", x = dir.path() + "/x";
  std::filesystem::rename(t1, x);
  REQUIRE(problem(first).find("missing or empty") != std::string::npos);
  std::filesystem::create_directories(t1 + "/lost+found");
  REQUIRE(problem(first).find("missing or empty") != std::string::npos);
  std::filesystem::remove_all(t1);
  std::filesystem::rename(t2, t1);
  std::filesystem::rename(x, t2);
  REQUIRE(problem(first).find("another target") != std::string::npos);
  REQUIRE(problem(second).find("another target") != std::string::npos);
  REQUIRE(LookAtDisk(first, PosixFileSystem()).place == problem(first));
  // Each store goes on in its own directory.
  const std::string data(5000, 'd');
  ChunkChange change;
  change.data = data;
  change.crc32c = Crc32c(data);
  const ChunkKey key{1, ContentId(1), 1};
  REQUIRE(first.store->Stage(key, {1, 1}, change).ok());
  REQUIRE(first.store->Commit(key, {1, 1}).ok());
  REQUIRE(first.store->Barrier().ok());
  REQUIRE(std::filesystem::exists(t2 + "/slabs/00000000.slab"));
  REQUIRE(!std::filesystem::exists(t1 + "/slabs/00000000.slab"));
}

TEST_CASE("what the opening lost is known until the metaserver has heard of it",
          "[chunkserver][targets]") {
  testing::TempDir dir;
  Server server(dir);
  REQUIRE(server.Open().ok());
  std::ofstream(dir.path() + "/t1/index/CURRENT") << "garbage";
  for (int round = 0; round < 2; ++round) {  // the second process finds nothing wrong
    auto targets = server.Open();
    REQUIRE(targets.ok());
    REQUIRE((*targets)->all()[0]->is_open());
    REQUIRE((*targets)->all()[0]->lost_changes);
    REQUIRE(!(*targets)->all()[1]->lost_changes);
    const auto saved = LoadOrMakeIdentity(server.options.dir, "", server.fs);
    REQUIRE(saved->targets.at(0).lost_changes);
    REQUIRE(!saved->targets.at(1).lost_changes);
  }
}

TEST_CASE("an unknown directory that is neither empty nor ours is refused",
          "[chunkserver][targets]") {
  testing::TempDir dir;
  Server server(dir);
  std::filesystem::create_directories(dir.path() + "/t1");
  std::ofstream(dir.path() + "/t1/photo.jpg") << "precious";
  REQUIRE(!server.Open().ok());
  REQUIRE(std::filesystem::exists(dir.path() + "/t1/photo.jpg"));

  testing::TempDir elsewhere;
  Server other(elsewhere, "c2");
  other.options.targets = {dir.path() + "/t2"};
  REQUIRE(other.Open().ok());
  std::filesystem::remove(dir.path() + "/t1/photo.jpg");
  REQUIRE(ReasonOf(server.Open().status()) == Reason::kWrongCluster);
}

TEST_CASE("a target that server.json lost is adopted", "[chunkserver][targets]") {
  testing::TempDir dir;
  Server server(dir);
  std::string uuid;
  {
    auto targets = server.Open();
    uuid = (*targets)->all()[0]->uuid;
  }
  std::filesystem::remove(dir.path() + "/server/server.json");
  auto targets = server.Open();
  REQUIRE(targets.ok());
  REQUIRE((*targets)->all()[0]->uuid == uuid);
  REQUIRE((*targets)->all()[0]->is_open());
}

TEST_CASE("server.json is of one cluster and one format", "[chunkserver][targets]") {
  testing::TempDir dir;
  Server server(dir);
  REQUIRE(server.Open().ok());
  const std::string path = server.options.dir;
  REQUIRE(ReasonOf(LoadOrMakeIdentity(path, "c2", server.fs).status()) == Reason::kWrongCluster);
  REQUIRE(LoadOrMakeIdentity(path, "", server.fs)->cluster_id == "c1");
  REQUIRE(!LoadOrMakeIdentity(dir.path() + "/new", "", server.fs).ok());
  std::ofstream(path + "/server.json") << "{\"format\": 2}";
  REQUIRE(absl::IsFailedPrecondition(LoadOrMakeIdentity(path, "", server.fs).status()));
  std::ofstream(path + "/server.json") << "nonsense";
  REQUIRE(absl::IsDataLoss(LoadOrMakeIdentity(path, "", server.fs).status()));
}

}  // namespace
}  // namespace penstock::chunkserver
