#include <catch2/catch.hpp>

#include "cli/verbs.h"
#include "tests/cli/temporary_directory.h"

namespace penstock::cli {

TEST_CASE("a command line that makes no sense has exit code 2", "[cli][command_line]") {
  REQUIRE(RunCommand({}) == kExitUsage);
  REQUIRE(RunCommand({"frobnicate"}) == kExitUsage);
  REQUIRE(RunCommand({"up"}) == kExitUsage);
  REQUIRE(RunCommand({"up", "/d", "--chunkservers", "0"}) == kExitUsage);
  REQUIRE(RunCommand({"target"}) == kExitUsage);
  REQUIRE(RunCommand({"target", "frobnicate"}) == kExitUsage);
  REQUIRE(RunCommand({"target", "drain"}) == kExitUsage);
  REQUIRE(RunCommand({"target", "drain", "1", "--dry-run", "--wait"}) == kExitUsage);
  REQUIRE(RunCommand({"target", "replace", "1"}) == kExitUsage);
  REQUIRE(RunCommand({"rebalance", "sideways"}) == kExitUsage);
  REQUIRE(RunCommand({"rebalance", "stop", "--wait"}) == kExitUsage);
  REQUIRE(RunCommand({"rebalance", "status", "--threshold", "7"}) == kExitUsage);
  REQUIRE(RunCommand({"status", "--grpc-port", "99999"}) == kExitUsage);
  REQUIRE(RunCommand({"mount", "a:99999", "/nowhere"}) != kExitOk);
  REQUIRE(RunCommand({"mount", "a", "/nowhere", "-o", "frobnicate"}) == kExitUsage);
  REQUIRE(RunCommand({"stat", "/etc/passwd"}) == kExitUsage);
}

TEST_CASE("help and version have exit code 0", "[cli][command_line]") {
  REQUIRE(RunCommand({"--help"}) == kExitOk);
  REQUIRE(RunCommand({"--version"}) == kExitOk);
  REQUIRE(RunCommand({"version", "--json"}) == kExitOk);
  for (const char* verb :
       {"up", "down", "mount", "umount", "status", "target", "group", "client", "stat", "key"}) {
    REQUIRE(RunCommand({verb, "--help"}) == kExitOk);
  }
}

TEST_CASE("up takes no directory that cannot be the cluster's own", "[cli][command_line]") {
  TemporaryDirectory dir;
  REQUIRE(RunCommand({"up", ""}) == kExitUsage);
  REQUIRE(RunCommand({"up", "/"}) == kExitUsage);
  REQUIRE(RunCommand({"up", dir / "c", "--mount", dir / "c/m"}) == kExitUsage);
  REQUIRE(RunCommand({"up", dir / "c", "--mount", dir.path()}) == kExitUsage);
  REQUIRE(RunCommand({"up", dir / "c", "--replication", "5"}) == kExitUsage);
  REQUIRE_FALSE(std::filesystem::exists(dir / "c"));
}

TEST_CASE("key show tells nobody to protect what is no key", "[cli][command_line]") {
  REQUIRE(RunCommand({"key", "show", "/etc/passwd"}) == kExitUsage);
  TemporaryDirectory dir;
  REQUIRE(RunCommand({"key", "cluster", dir / "cluster.key"}) == kExitOk);
  REQUIRE(RunCommand({"key", "show", dir / "cluster.key"}) == kExitOk);
}

TEST_CASE("mount(8) calls with its own switches", "[cli][command_line]") {
  REQUIRE(RunMountCommand({"node7:/a", "/mnt", "-f", "-o", "rw,_netdev"}) == kExitOk);
  REQUIRE(RunMountCommand({"node7", "/mnt", "-sfnv", "-t", "penstock", "-oro"}) == kExitOk);
  REQUIRE(RunMountCommand({"node7"}) == kExitUsage);
  REQUIRE(RunMountCommand({"node7", "/mnt", "-o"}) == kExitUsage);
  REQUIRE(RunMountCommand({"node7", "/mnt", "-x"}) == kExitUsage);
  REQUIRE(RunMountCommand({"node7", "/mnt", "-o", "rw,remount"}) == kExitUsage);
  REQUIRE(RunMountCommand({"node7", "/mnt", "-o", "frobnicate"}) == kExitUsage);
}

TEST_CASE("down deletes nothing that is no cluster", "[cli][command_line]") {
  TemporaryDirectory dir;
  REQUIRE(RunCommand({"down", dir.path(), "--wipe"}) == kExitFailure);
  REQUIRE(std::filesystem::exists(dir.path()));
  REQUIRE(RunCommand({"down", dir.path()}) == kExitFailure);
  REQUIRE(RunCommand({"down", dir / "gone", "--wipe"}) == kExitOk);
}

}  // namespace penstock::cli
