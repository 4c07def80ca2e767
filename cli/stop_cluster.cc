#include "cli/stop_cluster.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/address.h"
#include "cli/mount_table.h"
#include "cli/unmount.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kServerGrace = absl::Seconds(20);
constexpr absl::Duration kBusyGrace = absl::Seconds(5);  // a program that is just ending

absl::StatusOr<int> StopMounts(const ClusterFile& file, const StopOptions& options) {
  int stopped = 0;
  for (const std::string& mountpoint : MountsOf(file)) {
    UnmountOptions how;
    how.lazy = options.force;
    how.busy_timeout = kBusyGrace;
    how.flush_timeout = absl::Minutes(2);
    const absl::Status done = Unmount(mountpoint, how);
    if (!done.ok() && !options.force) {
      return Annotate(done, "nothing else was stopped (--force goes on anyway)");
    }
    stopped += done.ok();
    if (done.ok()) {
      std::printf("unmounted %s\n", mountpoint.c_str());
    } else {
      std::printf("warning: %s\n", std::string(done.message()).c_str());
    }
    std::fflush(stdout);
  }
  return stopped;
}

}  // namespace

absl::StatusOr<bool> StopServer(const ServerSpec& spec, bool quiet) {
  const std::optional<ProcessId> process = RunningProcess(spec.daemon.pid_file);
  if (process.has_value()) {
    ASSIGN_OR_RETURN(const bool killed, StopProcess(*process, kServerGrace));
    if (quiet) {
      // nothing else goes to a reader of JSON
    } else if (killed) {
      std::printf("killed %s (pid %d): it did not end within %d s of SIGTERM; see %s\n",
                  spec.name.c_str(), process->pid,
                  static_cast<int>(absl::ToInt64Seconds(kServerGrace)),
                  spec.daemon.log_file.c_str());
    } else {
      std::printf("stopped %s\n", spec.name.c_str());
    }
    std::fflush(stdout);
  }
  unlink(spec.daemon.pid_file.c_str());
  return process.has_value();
}

std::vector<std::string> MountsOf(const ClusterFile& file) {
  const std::string address = file.metaserver.ToString();
  std::vector<std::string> mountpoints;
  for (const MountEntry& entry : PenstockMounts()) {
    if (entry.source == address || absl::StartsWith(entry.source, address + ":/")) {
      mountpoints.push_back(entry.mountpoint);
    }
  }
  std::reverse(mountpoints.begin(), mountpoints.end());
  return mountpoints;
}

absl::StatusOr<int> StopCluster(const ClusterDirectory& dir, const ClusterFile& file,
                                const StopOptions& options) {
  ASSIGN_OR_RETURN(int stopped, StopMounts(file, options));
  std::vector<ServerSpec> servers = ServersOf(dir, file);
  // The metaserver, which stands first, goes last.
  std::rotate(servers.begin(), servers.begin() + 1, servers.end());
  for (const ServerSpec& server : servers) {
    ASSIGN_OR_RETURN(const bool was_running, StopServer(server));
    stopped += was_running;
  }
  return stopped;
}

}  // namespace penstock::cli
