#include "cli/foreground.h"

#include <absl/algorithm/container.h>
#include <signal.h>

#include <cstdio>
#include <optional>

#include "cli/paths.h"
#include "cli/stop_cluster.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

// As cluster.json names them now, with those that run in the place of others. `known` stay as they
// are when the file cannot be read.
std::vector<StartedServer> ServersNow(const ClusterDirectory& dir,
                                      std::vector<StartedServer> known) {
  const auto file = dir.Read();
  if (!file.ok()) return known;
  std::vector<StartedServer> now;
  for (const ServerSpec& spec : ServersOf(dir, *file)) {
    auto server = absl::c_find_if(
        known, [&](const StartedServer& one) { return one.spec.name == spec.name; });
    const std::optional<ProcessId> process = RunningProcess(spec.daemon.pid_file);
    if (process.has_value()) {
      now.push_back({.spec = spec, .process = *process, .since = absl::InfinitePast()});
    } else if (server != known.end()) {
      now.push_back(*server);
    }
  }
  return now;
}

}  // namespace

bool StopRequested(absl::Duration wait) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  const timespec timeout = absl::ToTimespec(wait);
  return sigtimedwait(&signals, nullptr, &timeout) > 0;
}

absl::Status StayAndStop(const ClusterDirectory& dir, std::vector<StartedServer> servers) {
  std::printf("\nCtrl-C or SIGTERM stops the cluster\n");
  std::fflush(stdout);
  while (!servers.empty() && !StopRequested(absl::Seconds(1))) {
    if (CheckAlive(servers).ok() || !dir.HasCluster()) continue;
    {
      // Somebody may be stopping, restarting or removing it: the file tells when he has done.
      auto lock = DirectoryLock::Take(dir);
      if (!lock.ok()) continue;
      servers = ServersNow(dir, std::move(servers));
    }
    const absl::Status alive = CheckAlive(servers);
    if (alive.ok()) continue;
    std::fprintf(stderr, "penstock: %s\n  `penstock up %s` starts it again\n",
                 std::string(alive.message()).c_str(), ShellWord(dir.root).c_str());
    std::erase_if(servers, [](const StartedServer& s) { return !IsRunning(s.process); });
  }
  if (servers.empty()) return absl::OkStatus();  // `penstock down`, from elsewhere
  ASSIGN_OR_RETURN(DirectoryLock lock, DirectoryLock::Take(dir));
  // With what was added meanwhile.
  ASSIGN_OR_RETURN(const ClusterFile file, dir.Read());
  return StopCluster(dir, file, {}).status();
}

}  // namespace penstock::cli
