#include "cli/cluster_file.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/cluster_layout.h"
#include "common/file.h"
#include "tests/cli/temporary_directory.h"

namespace penstock::cli {
namespace {

ClusterFile Example() {
  ClusterFile file = *NewClusterFile({.chunkservers = 2, .targets_per_server = 2});
  file.mounts = {"/mnt/a b", "/mnt/ü"};
  return file;
}

}  // namespace

TEST_CASE("cluster.json is read as it was written", "[cli][cluster_file]") {
  TemporaryDirectory dir;
  const ClusterDirectory cluster{dir.path()};
  REQUIRE_FALSE(cluster.HasCluster());
  REQUIRE(absl::IsNotFound(cluster.Read().status()));
  REQUIRE(cluster.Write(Example()).ok() == true);
  auto read = cluster.Read();
  REQUIRE(read.ok());
  ClusterFile expected = Example();
  expected.cluster_id = read->cluster_id;
  expected.created = read->created;
  REQUIRE(*read == expected);
}

TEST_CASE("targets lie below the cluster's directory unless they say where",
          "[cli][cluster_file]") {
  const ClusterDirectory dir{"/c"};
  REQUIRE(dir.Below("cs1/t1") == "/c/cs1/t1");
  REQUIRE(dir.Below("/data/disk7") == "/data/disk7");
}

TEST_CASE("a cluster.json of another format is refused", "[cli][cluster_file]") {
  nlohmann::json json = nlohmann::json::parse(ClusterFileText(Example()));
  json["format"] = 2;
  auto parsed = ParseClusterFile(json.dump());
  REQUIRE(absl::IsFailedPrecondition(parsed.status()));
  REQUIRE_THAT(std::string(parsed.status().message()), Catch::Contains("format 2"));
}

TEST_CASE("a cluster.json that makes no sense is refused, naming the member",
          "[cli][cluster_file]") {
  const nlohmann::json good = nlohmann::json::parse(ClusterFileText(Example()));
  for (const auto& [name, value] : good.items()) {
    INFO(name);
    nlohmann::json missing = good;
    missing.erase(name);
    // A cluster that was made before there was a choice has none stored.
    REQUIRE(ParseClusterFile(missing.dump()).ok() == (name == "transport"));
    nlohmann::json wrong = good;
    wrong[name] = nullptr;
    REQUIRE_FALSE(ParseClusterFile(wrong.dump()).ok());
  }
  nlohmann::json transport = good;
  transport["transport"] = "ib";
  REQUIRE_FALSE(ParseClusterFile(transport.dump()).ok());
  REQUIRE_FALSE(ParseClusterFile("").ok());
  REQUIRE_FALSE(ParseClusterFile("[]").ok());
  REQUIRE_FALSE(ParseClusterFile(good.dump().substr(0, 100)).ok());
  nlohmann::json port = good;
  port["metaserver"]["port"] = 70000;
  REQUIRE_THAT(std::string(ParseClusterFile(port.dump()).status().message()),
               Catch::Contains("\"port\""));
}

TEST_CASE("a new cluster has the ports and targets that were asked for", "[cli][layout]") {
  auto file = NewClusterFile(
      {.chunkservers = 2, .targets_per_server = 2, .replication = 1, .base_port = 7600});
  REQUIRE(file.ok());
  REQUIRE(file->metaserver == HostPort{"127.0.0.1", 7600});
  REQUIRE(file->grpc_port == 7601);
  REQUIRE(file->chunkservers[1] == ChunkServerEntry{"cs2", 7612, {"cs2/t1", "cs2/t2"}});
  REQUIRE(NewClusterFile({})->chunkservers.size() == 3);
  REQUIRE(NewClusterFile({})->replication == 2);
  REQUIRE(NewClusterFile({.chunkservers = 1})->replication == 1);
}

TEST_CASE("more copies than chunkservers are refused", "[cli][layout]") {
  auto file = NewClusterFile({.chunkservers = 2, .replication = 3});
  REQUIRE_THAT(std::string(file.status().message()), Catch::Contains("--chunkservers 3"));
}

TEST_CASE("options that differ from a cluster's are refused, naming what is stored",
          "[cli][layout]") {
  const ClusterDirectory dir{"/d"};
  const ClusterFile stored = Example();
  REQUIRE(CheckSameLayout(dir, stored, {}).ok());
  REQUIRE(CheckSameLayout(dir, stored, {.chunkservers = 2, .replication = 2}).ok());
  const absl::Status refused = CheckSameLayout(dir, stored, {.chunkservers = 5});
  REQUIRE_THAT(std::string(refused.message()), Catch::Contains("--chunkservers 2"));
  REQUIRE_FALSE(CheckSameLayout(dir, stored, {.base_port = 8000}).ok());
}

TEST_CASE("a directory with something else in it is not made a cluster", "[cli][layout]") {
  TemporaryDirectory dir;
  const ClusterDirectory cluster{dir.path()};
  REQUIRE(CheckDirectory(cluster).ok());
  REQUIRE(PosixFileSystem()->MakeDirectory(dir / "cs1").ok());  // an `up` that was cut short
  REQUIRE(CheckDirectory(cluster).ok());
  REQUIRE(PosixFileSystem()->MakeDirectory(dir / "photos").ok());
  REQUIRE_THAT(std::string(CheckDirectory(cluster).message()), Catch::Contains("photos"));
}

}  // namespace penstock::cli
