#include "cli/mount_table.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "cli/paths.h"
#include "tests/cli/temporary_directory.h"

namespace penstock::cli {
namespace {

constexpr char kMountInfo[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "40 22 0:50 / /mnt/data\\040sets rw,nosuid - fuse.penstock 127.0.0.1:7400:/a rw,user_id=0\n"
    "41 22 0:51 / /mnt/x rw - fuse.penstock [::1]:7400 rw\n"
    "42 22 0:52 /sub /mnt/x rw shared:7 master:1 - tmpfs none rw\n"
    "nonsense\n";

}  // namespace

TEST_CASE("the kernel's mount table is read", "[cli][mount_table]") {
  const std::vector<MountEntry> table = ParseMountInfo(kMountInfo);
  REQUIRE(table.size() == 4);
  REQUIRE(table[1].mountpoint == "/mnt/data sets");
  REQUIRE(table[1].type == kFileSystemType);
  REQUIRE(table[1].source == "127.0.0.1:7400:/a");
  REQUIRE(table[3].root == "/sub");
}

TEST_CASE("a path belongs to the longest mountpoint, and there to the topmost mount",
          "[cli][mount_table]") {
  const std::vector<MountEntry> table = ParseMountInfo(kMountInfo);
  REQUIRE(MountOf(table, "/mnt/data sets/f")->source == "127.0.0.1:7400:/a");
  REQUIRE(MountOf(table, "/mnt/data sets")->source == "127.0.0.1:7400:/a");
  REQUIRE(MountOf(table, "/mnt/data sets2")->mountpoint == "/");
  REQUIRE(MountOf(table, "/mnt/x/y")->type == "tmpfs");
  REQUIRE(MountAt(table, "/mnt/x")->type == "tmpfs");
  REQUIRE_FALSE(MountAt(table, "/mnt").has_value());
}

TEST_CASE("a mount's record is read as it was written, and removed", "[cli][mount_table]") {
  TemporaryDirectory dir;
  ScopedEnvironment runtime("PENSTOCK_RUNTIME_DIR", dir.path());
  const MountRecord record{*IdentifyProcess(getpid()), "/mnt/a b", "h:1", "/log", "lost"};
  REQUIRE(WriteMountRecord(record).ok());
  auto read = ReadMountRecord("/mnt/a b");
  REQUIRE(read.has_value());
  REQUIRE(read->process == record.process);
  REQUIRE(read->error == "lost");
  RemoveMountRecord("/mnt/a b");
  REQUIRE_FALSE(ReadMountRecord("/mnt/a b").has_value());
}

TEST_CASE("different mountpoints get different record names", "[cli][mount_table]") {
  REQUIRE(EscapePath("/mnt/a") == "mnt+a");
  REQUIRE(EscapePath("/mnt+a") == "mnt\\x2ba");
  REQUIRE(EscapePath("/") == "+");
  const std::string long_one = "/" + std::string(300, 'a');
  REQUIRE(EscapePath(long_one + "1").size() < 250);
  REQUIRE(EscapePath(long_one + "1") != EscapePath(long_one + "2"));
}

}  // namespace penstock::cli
