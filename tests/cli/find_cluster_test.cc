#include "cli/find_cluster.h"

#include <catch2/catch.hpp>

#include "cli/cluster_layout.h"
#include "common/file.h"
#include "tests/cli/temporary_directory.h"

namespace penstock::cli {
namespace {

// A world of its own: state directory, no variables, two clusters.
struct World {
  World() {
    for (const char* name : {"one", "two"}) {
      REQUIRE(PosixFileSystem()->MakeDirectory(dir / name).ok());
    }
    REQUIRE(ClusterDirectory{dir / "one"}.Write(*NewClusterFile({.base_port = 7600})).ok());
    REQUIRE(ClusterDirectory{dir / "two"}.Write(*NewClusterFile({.base_port = 7700})).ok());
  }
  TemporaryDirectory dir;
  ScopedEnvironment state{"XDG_STATE_HOME", dir / "state"};
  ScopedEnvironment cluster{"PENSTOCK_CLUSTER", ""};
  ScopedEnvironment keys{"PENSTOCK_KEYS", ""};
  ScopedEnvironment key{"PENSTOCK_KEY", ""};
};

}  // namespace

TEST_CASE("with no cluster named the error says how to name one", "[cli][find_cluster]") {
  World world;
  const std::string message(FindCluster({}).status().message());
  REQUIRE_THAT(message, Catch::Contains("--cluster") && Catch::Contains("PENSTOCK_CLUSTER") &&
                            Catch::Contains("penstock up"));
}

TEST_CASE("--cluster goes before PENSTOCK_CLUSTER, and that before the last up",
          "[cli][find_cluster]") {
  World world;
  REQUIRE(RememberCluster(world.dir / "one").ok());
  auto last = FindCluster({});
  REQUIRE(last.ok());
  REQUIRE(last->directory == world.dir / "one");
  REQUIRE(last->grpc() == HostPort{"127.0.0.1", 7601});
  REQUIRE(last->keys_directory == world.dir / "one/keys");

  ScopedEnvironment variable("PENSTOCK_CLUSTER", world.dir / "two");
  REQUIRE(FindCluster({})->directory == world.dir / "two");
  ClusterOptions options;
  options.cluster = world.dir / "one";
  REQUIRE(FindCluster(options)->directory == world.dir / "one");
}

TEST_CASE("a cluster named by address wants keys", "[cli][find_cluster]") {
  World world;
  ClusterOptions options;
  options.cluster = "node7:7500";
  if (!*PosixFileSystem()->Exists("/etc/penstock/admin.key")) {
    REQUIRE_THAT(std::string(FindCluster(options).status().message()), Catch::Contains("--keys"));
  }
  options.keys = "/some/keys";
  auto found = FindCluster(options);
  REQUIRE(found.ok());
  REQUIRE(found->directory.empty());
  REQUIRE(found->grpc() == HostPort{"node7", 7501});
  REQUIRE(found->keys_directory == "/some/keys");
  options.grpc_port = 9000;
  REQUIRE(FindCluster(options)->grpc_port == 9000);
}

TEST_CASE("the address of the last cluster brings its keys", "[cli][find_cluster]") {
  World world;
  REQUIRE(RememberCluster(world.dir / "two").ok());
  ClusterOptions options;
  options.cluster = "127.0.0.1:7700";
  REQUIRE(FindCluster(options)->keys_directory == world.dir / "two/keys");
  REQUIRE(*FindMountKey("", {"127.0.0.1", 7700}) == world.dir / "two/keys/cluster.key");
}

TEST_CASE("a directory without a cluster is named in the error", "[cli][find_cluster]") {
  World world;
  ClusterOptions options;
  options.cluster = world.dir / "three";
  REQUIRE_THAT(std::string(FindCluster(options).status().message()), Catch::Contains("/three"));
}

TEST_CASE("every cluster that is still there is known by its address", "[cli][find_cluster]") {
  World world;
  REQUIRE(RememberCluster(world.dir / "one").ok());
  REQUIRE(RememberCluster(world.dir / "two").ok());
  REQUIRE(RememberCluster(world.dir / "two").ok());
  REQUIRE(KnownClusters() == std::vector<std::string>{world.dir / "two", world.dir / "one"});
  ClusterOptions options;
  options.cluster = "localhost:7600";
  REQUIRE(FindCluster(options)->keys_directory == world.dir / "one/keys");
  REQUIRE(*FindMountKey("", {"127.0.0.1", 7600}) == world.dir / "one/keys/cluster.key");

  // The one that was started last goes: the one before it is the last again.
  ForgetCluster(world.dir / "two");
  REQUIRE(FindCluster({})->directory == world.dir / "one");
  std::filesystem::remove_all(world.dir / "one");
  REQUIRE(LastCluster().empty());
}

TEST_CASE("a wiped cluster is forgotten", "[cli][find_cluster]") {
  World world;
  REQUIRE(RememberCluster(world.dir / "one").ok());
  ForgetCluster(world.dir / "two");
  REQUIRE(LastCluster() == world.dir / "one");
  ForgetCluster(world.dir / "one");
  REQUIRE(LastCluster().empty());
}

TEST_CASE("a mount's key comes from -o, then PENSTOCK_KEY", "[cli][find_cluster]") {
  World world;
  ScopedEnvironment variable("PENSTOCK_KEY", "/from/variable");
  REQUIRE(*FindMountKey("/from/option", {"a", 1}) == "/from/option");
  REQUIRE(*FindMountKey("", {"a", 1}) == "/from/variable");
}

}  // namespace penstock::cli
