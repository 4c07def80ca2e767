// `penstock down`: unmounts and stops a cluster of `penstock up`.
#include <absl/strings/str_cat.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/find_cluster.h"
#include "cli/paths.h"
#include "cli/servers.h"
#include "cli/stop_cluster.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct DownOptions {
  std::string directory;
  bool wipe = false;
  bool force = false;
};

absl::Status Wipe(const ClusterDirectory& dir) {
  // cluster.json goes last: while it is there, a wipe that was cut short can be run again.
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir.root, error)) {
    if (entry.path() == dir.File()) continue;
    std::filesystem::remove_all(entry.path(), error);
    if (error) break;
  }
  if (!error) std::filesystem::remove_all(dir.root, error);
  if (error) {
    return PosixError(error.value(),
                      absl::StrCat("cannot delete ", dir.root, ": ", error.message()));
  }
  std::printf("deleted %s\n", dir.root.c_str());
  return absl::OkStatus();
}

absl::Status Down(const DownOptions& options) {
  const ClusterDirectory dir{AbsolutePath(options.directory)};
  if (!std::filesystem::exists(dir.root) && options.wipe) {
    std::printf("%s does not exist; nothing to do\n", dir.root.c_str());
    return absl::OkStatus();
  }
  absl::StatusOr<ClusterFile> file = dir.Read();
  if (absl::IsNotFound(file.status()) && options.wipe) {
    return absl::FailedPreconditionError(
        absl::StrCat(dir.root, " holds no cluster (no cluster.json in it), so it is not deleted"));
  }
  RETURN_IF_ERROR(file.status());
  int stopped = 0;
  {
    RETURN_IF_ERROR(MakeDirectories(dir.Below("run")));
    ASSIGN_OR_RETURN(DirectoryLock lock, DirectoryLock::Take(dir));
    ASSIGN_OR_RETURN(stopped, StopCluster(dir, *file, {.force = options.force}));
    if (options.wipe) {
      RETURN_IF_ERROR(Wipe(dir));
      ForgetCluster(dir.root);
      return absl::OkStatus();
    }
  }
  std::printf("the cluster in %s %s; `penstock up %s` starts it again\n", dir.root.c_str(),
              stopped > 0 ? "is down" : "was not running", ShellWord(dir.root).c_str());
  return absl::OkStatus();
}

}  // namespace

void AddDown(CLI::App& app, Program& program) {
  auto options = std::make_shared<DownOptions>();
  CLI::App* verb = app.add_subcommand(
      "down", "unmounts and stops a cluster of `penstock up`; its data stays unless --wipe");
  verb->add_option("DIR", options->directory, "the cluster's directory")->required();
  verb->add_flag("--wipe", options->wipe, "then delete DIR with everything in it");
  verb->add_flag("--force", options->force,
                 "detach mounts that are in use, and go on when one cannot be unmounted; what was "
                 "not yet written back may be lost");
  verb->callback([&program, options] { program.run = [options] { return Down(*options); }; });
}

}  // namespace penstock::cli
