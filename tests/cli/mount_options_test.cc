#include "cli/mount_options.h"

#include <catch2/catch.hpp>

namespace penstock::cli {
namespace {

MountSettings Apply(const std::string& options, bool root = true) {
  MountSettings settings = DefaultMountSettings(root);
  const absl::Status applied = ApplyMountOptions(options, settings);
  INFO(applied.ToString());
  REQUIRE(applied.ok());
  return settings;
}

std::string Refusal(const std::string& options) {
  MountSettings settings;
  return std::string(ApplyMountOptions(options, settings).message());
}

}  // namespace

TEST_CASE("root's mount is for everybody, a user's is not", "[cli][mount]") {
  REQUIRE(Apply("").allow_other);
  REQUIRE(Apply("").kernel_options == std::vector<std::string>{"dev", "suid"});
  REQUIRE_FALSE(Apply("", false).allow_other);
  REQUIRE(Apply("", false).kernel_options.empty());
  REQUIRE_FALSE(Apply("no_allow_other").allow_other);
}

TEST_CASE("Penstock's own mount options are taken with their units", "[cli][mount]") {
  const MountSettings s = Apply(
      "key=/k,io_timeout=500ms,memory=512MiB,connections=3,read_ahead_kib=128,"
      "sync_on_close,log_file=/l,metrics=127.0.0.1:9410");
  REQUIRE(s.metrics == "127.0.0.1:9410");
  REQUIRE(s.key_file == "/k");
  REQUIRE(s.io_timeout == absl::Milliseconds(500));
  REQUIRE(s.memory_bytes == 512 * kMiB);
  REQUIRE(s.max_connections == 3);
  REQUIRE(s.read_ahead_kib == 128);
  REQUIRE(s.sync_on_close);
  REQUIRE(s.log_file == "/l");
}

TEST_CASE("the options of every file system go to the kernel", "[cli][mount]") {
  const MountSettings s = Apply("ro,noatime,nodev,nosuid,noexec");
  REQUIRE(s.read_only);
  REQUIRE(s.kernel_options ==
          std::vector<std::string>{"dev", "suid", "noatime", "nodev", "nosuid", "noexec"});
  REQUIRE_FALSE(Apply("ro,rw").read_only);  // the last one wins
}

TEST_CASE("the rules of access times go to the client", "[cli][mount]") {
  using client::AtimeRule;
  REQUIRE(Apply("").atime == AtimeRule::kRelatime);
  REQUIRE(Apply("noatime").atime == AtimeRule::kNever);
  REQUIRE(Apply("strictatime").atime == AtimeRule::kAlways);
  REQUIRE(Apply("noatime,strictatime,relatime").atime == AtimeRule::kRelatime);  // the last one
  REQUIRE(Apply("").directory_atime);
  REQUIRE_FALSE(Apply("nodiratime").directory_atime);
  REQUIRE(Apply("nodiratime,strictatime").kernel_options ==
          std::vector<std::string>{"dev", "suid"});  // libfuse does not know them
}

TEST_CASE("what only fstab's readers understand is accepted", "[cli][mount]") {
  const MountSettings s =
      Apply("defaults,_netdev,nofail,noauto,user,x-systemd.automount,x-mine=1,comment=hello");
  REQUIRE(s.kernel_options == std::vector<std::string>{"dev", "suid"});
}

TEST_CASE("unknown mount options and values that make no sense are refused", "[cli][mount]") {
  REQUIRE_THAT(Refusal("ro,frobnicate"), Catch::Contains("'frobnicate'"));
  REQUIRE_THAT(Refusal("noatime=1"), Catch::Contains("noatime=1"));
  REQUIRE_THAT(Refusal("io_timeout=soon"), Catch::Contains("io_timeout=soon"));
  REQUIRE_THAT(Refusal("io_timeout"), Catch::Contains("io_timeout"));
  REQUIRE_THAT(Refusal("memory=1"), Catch::Contains("16MiB"));
  REQUIRE_THAT(Refusal("memory=99999999999GiB"), Catch::Contains("memory="));
  REQUIRE_THAT(Refusal("connections=0"), Catch::Contains("1 .. 64"));
  REQUIRE_THAT(Refusal("key="), Catch::Contains("value"));
  REQUIRE_THAT(Refusal("no_ro"), Catch::Contains("no_ro"));
}

}  // namespace penstock::cli
