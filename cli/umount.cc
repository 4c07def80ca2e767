// `penstock umount`.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cli/mount_table.h"
#include "cli/paths.h"
#include "cli/unmount.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct UmountOptions {
  std::string mountpoint;
  bool lazy = false;
};

// The mountpoint as the kernel knows it. A path that is not mounted as it stands may lead there
// through symlinks; a mounted one is not touched, since its server may be away.
std::string KernelMountpoint(const std::string& typed) {
  const std::string path = AbsolutePath(typed);
  if (MountAt(PenstockMounts(), path).has_value()) return path;
  return WithoutSymlinks(path);
}

absl::Status RunUmount(const UmountOptions& options) {
  const std::string mountpoint = KernelMountpoint(options.mountpoint);
  UnmountOptions how;
  how.lazy = options.lazy;
  RETURN_IF_ERROR(Unmount(mountpoint, how));
  std::printf("%s is unmounted\n", mountpoint.c_str());
  return absl::OkStatus();
}

}  // namespace

void AddUmount(CLI::App& app, Program& program) {
  auto options = std::make_shared<UmountOptions>();
  CLI::App* verb = app.add_subcommand(
      "umount", "unmounts, and waits until the client has written everything back");
  verb->add_option("MOUNTPOINT", options->mountpoint, "where it is mounted")->required();
  verb->add_flag("-l,--lazy", options->lazy, "detach it now, even while it is in use");
  verb->callback([&program, options] { program.run = [options] { return RunUmount(*options); }; });
}

}  // namespace penstock::cli
