#include "cli/start_cluster.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>
#include <absl/time/clock.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "cli/admin_client.h"
#include "cli/human.h"
#include "cli/paths.h"
#include "cli/port_user.h"
#include "cli/table.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr size_t kLogLinesShown = 6;
constexpr absl::Duration kLettingGo = absl::Seconds(10);
constexpr absl::Duration kLookEvery = absl::Milliseconds(50);

// A port that nobody can be seen to use may be on its way to be free: the threads of a server that
// was just killed end one after the other.
absl::Status WaitForPort(const std::string& host, uint16_t port, absl::Time until) {
  while (true) {
    absl::Status free = CheckPortFree(host, port);
    if (free.ok() || !PortUser(port).empty() || absl::Now() >= until) return free;
    absl::SleepFor(kLookEvery);
  }
}

absl::Status CheckPorts(const ClusterDirectory& dir, const ClusterFile& file,
                        const std::vector<ServerSpec>& servers) {
  const absl::Time until = absl::Now() + kLettingGo;
  for (const ServerSpec& server : servers) {
    for (uint16_t port : server.ports) {
      const absl::Status free = WaitForPort(file.metaserver.host, port, until);
      if (free.ok()) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          free.message(), " (", server.name, " of ", dir.root, " wants it). ",
          dir.HasCluster() ? "End what uses it; this cluster keeps its ports"
                           : "Choose other ports with --base-port P: the cluster uses P, P+1 and "
                             "P+11 onwards"));
    }
  }
  return absl::OkStatus();
}

// One line that is rewritten on a terminal; elsewhere each new text is a line.
class Progress {
 public:
  ~Progress() {
    if (terminal_ && !shown_.empty()) std::printf("\r\033[K");
    std::fflush(stdout);
  }
  void Show(const std::string& text) {
    if (text == shown_) return;
    shown_ = text;
    std::printf(terminal_ ? "\r\033[K%s" : "%s\n", text.c_str());
    std::fflush(stdout);
  }

 private:
  const bool terminal_ = isatty(STDOUT_FILENO) != 0;
  std::string shown_;
};

bool IsReady(const StartedServer& started, const wire::StatusResponse& status) {
  for (const wire::ServerInfo& info : status.servers()) {
    for (const wire::Address& address : info.server().addresses()) {
      if (address.port() != started.spec.ports[0]) continue;
      // The metaserver may still count the life before as online.
      const absl::Duration age = absl::Milliseconds(static_cast<int64_t>(info.last_heartbeat_ms()));
      return info.server().state() == wire::SERVER_ONLINE && absl::Now() - age >= started.since;
    }
  }
  return false;
}

// Empty: ready. Else what is still missing.
std::string Missing(const std::vector<StartedServer>& servers,
                    const absl::StatusOr<wire::StatusResponse>& status) {
  if (!status.ok()) return "waiting for the metaserver to answer";
  std::vector<std::string> names;
  for (const StartedServer& started : servers) {
    if (started.spec.name == kMetaserverName || IsReady(started, *status)) continue;
    names.push_back(started.spec.name);
  }
  if (!names.empty())
    return absl::StrCat("waiting for ", absl::StrJoin(names, ", "), " to register");
  if (status->restored()) return "";  // `penstock backup finish` forms the groups
  for (const wire::MapStorageClass& c : status->classes()) {
    if (c.group_count() > 0) return "";
  }
  return "waiting for the replication groups to be formed";
}

// OK also when it takes long: whether the cluster becomes ready is judged later.
absl::Status WaitUntilListening(const std::string& host, uint16_t port,
                                const StartedServer& server) {
  const absl::Time deadline = absl::Now() + absl::Seconds(5);
  while (!SomebodyListens(host, port) && absl::Now() < deadline) {
    RETURN_IF_ERROR(CheckAlive({server}));
    absl::SleepFor(absl::Milliseconds(20));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<StartedServer>> StartServers(const ClusterDirectory& dir,
                                                        const ClusterFile& file) {
  std::vector<StartedServer> servers;
  std::vector<ServerSpec> missing;
  for (ServerSpec& spec : ServersOf(dir, file)) {
    std::optional<ProcessId> process = RunningProcess(spec.daemon.pid_file);
    if (!process.has_value()) missing.push_back(spec);
    servers.push_back({std::move(spec), process.value_or(ProcessId{}), absl::InfinitePast(),
                       !process.has_value()});
  }
  for (const ServerSpec& spec : missing) {
    if (access(spec.daemon.program.c_str(), X_OK) == 0) continue;
    return absl::NotFoundError(absl::StrCat("the program ", spec.daemon.program,
                                            " is missing; it "
                                            "lies beside penstock in a whole installation"));
  }
  RETURN_IF_ERROR(CheckPorts(dir, file, missing));
  for (StartedServer& server : servers) {
    if (!server.new_one) continue;
    server.since = absl::Now();
    ASSIGN_OR_RETURN(server.process, StartDaemon(server.spec.daemon));
    // The others look for it at once, and their logs should not begin with a warning.
    if (server.spec.name == kMetaserverName) {
      RETURN_IF_ERROR(WaitUntilListening(file.metaserver.host, file.grpc_port, server));
    }
  }
  return servers;
}

absl::Status CheckAlive(const std::vector<StartedServer>& servers) {
  for (const StartedServer& server : servers) {
    if (IsRunning(server.process)) continue;
    const std::string reason = ExitReason(server.process.pid);
    return absl::UnavailableError(absl::StrCat(
        server.spec.name, " has ended", reason.empty() ? "" : absl::StrCat(" with ", reason),
        "; its log ", server.spec.daemon.log_file, " ends:\n",
        absl::StripSuffix(LastLines(server.spec.daemon.log_file, kLogLinesShown), "\n")));
  }
  return absl::OkStatus();
}

absl::StatusOr<wire::StatusResponse> WaitUntilReady(const ClusterDirectory& dir,
                                                    const ClusterFile& file,
                                                    const std::vector<StartedServer>& servers,
                                                    const WaitOptions& options) {
  FoundCluster found;
  found.directory = dir.root;
  found.metaserver = file.metaserver;
  found.grpc_port = file.grpc_port;
  found.keys_directory = dir.KeysDirectory();
  const absl::Time deadline = absl::Now() + options.timeout;
  Progress progress;
  for (;;) {
    RETURN_IF_ERROR(CheckAlive(servers));
    // A new channel each time: gRPC would wait longer and longer between its own tries.
    ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(found));
    const auto status = admin.Status(absl::Seconds(2));
    const std::string missing = Missing(servers, status);
    if (missing.empty()) return status;
    progress.Show(missing);
    if (options.stop_requested && options.stop_requested()) {
      return absl::CancelledError("stopped before the cluster was ready");
    }
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(
          "the cluster is not ready after ", HumanDuration(options.timeout), ", still ", missing,
          status.ok() ? "" : absl::StrCat(" (", status.status().message(), ")"),
          ". The servers go on running; look into ", dir.root,
          "/logs, run this again to wait "
          "longer, or stop them with `penstock down ",
          ShellWord(dir.root), "`"));
    }
    absl::SleepFor(absl::Milliseconds(200));
  }
}

}  // namespace penstock::cli
