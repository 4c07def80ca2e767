// `penstock up`: a whole cluster on this machine, everything under one directory.
#include <absl/algorithm/container.h>
#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <absl/time/clock.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/cluster_layout.h"
#include "cli/find_cluster.h"
#include "cli/foreground.h"
#include "cli/human.h"
#include "cli/listing.h"
#include "cli/mount_client.h"
#include "cli/mount_table.h"
#include "cli/paths.h"
#include "cli/start_cluster.h"
#include "cli/stop_cluster.h"
#include "cli/verbs.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct UpOptions {
  std::string directory;
  std::string mountpoint;
  RequestedLayout layout;
  bool foreground = false;
  int timeout_s = 60;
};

// "penstock" when the shell finds this program under that name, else its path.
std::string CommandName() {
  std::error_code error;
  for (absl::string_view folder : absl::StrSplit(Environment("PATH"), ':', absl::SkipEmpty())) {
    const std::string found = absl::StrCat(folder, "/penstock");
    if (access(found.c_str(), X_OK) != 0) continue;
    const bool same = std::filesystem::equivalent(found, "/proc/self/exe", error);
    if (same && !error) return "penstock";
    break;
  }
  return ProgramDirectory() + "/penstock";
}

// Mounts what the cluster keeps mounted and is not; returns those that are new.
absl::StatusOr<std::vector<std::string>> MountMissing(const ClusterDirectory& dir,
                                                      const ClusterFile& file) {
  std::vector<std::string> mounted;
  const std::vector<std::string> present = MountsOf(file);
  for (size_t i = 0; i < file.mounts.size(); ++i) {
    const std::string& mountpoint = file.mounts[i];
    const bool dead = ClearDeadMount(mountpoint);
    if (!dead && absl::c_linear_search(present, mountpoint)) continue;
    RETURN_IF_ERROR(MakeDirectories(mountpoint));
    const std::string name = absl::StrCat("mount-", i + 1);
    // A program of its own: a client must be forked before this one's threads exist.
    ASSIGN_OR_RETURN(
        ProgramOutput output,
        RunProgram({ProgramDirectory() + "/penstock", "mount", dir.root, mountpoint, "-o",
                    absl::StrCat("log_file=", dir.Log(name), ",pid_file=", dir.Pid(name),
                                 ",transport=", file.transport)}));
    if (output.exit_code != 0) {
      absl::string_view text = absl::StripSuffix(output.text, "\n");
      return absl::UnavailableError(absl::StrCat("the cluster runs, but the mount failed: ",
                                                 absl::StripPrefix(text, "penstock: ")));
    }
    mounted.push_back(mountpoint);
  }
  return mounted;
}

void PrintSummary(const ClusterDirectory& dir, const ClusterFile& file,
                  const std::vector<StartedServer>& servers,
                  const std::vector<std::string>& mounted) {
  std::vector<std::string> started;
  for (const StartedServer& server : servers) {
    if (server.new_one) started.push_back(server.spec.name);
  }
  const std::string command = ShellWord(CommandName());
  const std::string root = ShellWord(dir.root);
  std::vector<std::string> ports;
  for (const ChunkServerEntry& server : file.chunkservers)
    ports.push_back(absl::StrCat(server.port));
  std::printf("cluster %s is up in %s\n", file.cluster_id.c_str(), dir.root.c_str());
  std::printf("  started      %s\n", started.empty() ? "nothing: every server was running"
                                                     : absl::StrJoin(started, ", ").c_str());
  std::printf("  metaserver   %s (control port %d)\n", file.metaserver.ToString().c_str(),
              file.grpc_port);
  std::printf("  chunkservers %zu on ports %s, %u %s of every chunk\n", file.chunkservers.size(),
              absl::StrJoin(ports, ", ").c_str(), file.replication,
              file.replication == 1 ? "copy" : "copies");
  for (const std::string& mountpoint : file.mounts) {
    std::printf("  %s %s\n",
                absl::c_linear_search(mounted, mountpoint) ? "mounted     " : "on          ",
                mountpoint.c_str());
  }
  std::printf("  logs         %s/logs\n\n", dir.root.c_str());
  std::printf("look at it     %s status\n", command.c_str());
  if (file.mounts.empty()) {
    std::printf("mount it       %s mount %s MOUNTPOINT\n", command.c_str(), root.c_str());
  }
  std::printf("stop it        %s down %s\n", command.c_str(), root.c_str());
  std::fflush(stdout);
}

// True when it is new to the cluster.
absl::StatusOr<bool> AddMountpoint(const std::string& mountpoint, ClusterFile& file) {
  if (mountpoint.empty()) return false;
  std::string path = AbsolutePath(mountpoint);
  if (absl::c_linear_search(file.mounts, path)) return false;
  RETURN_IF_ERROR(MakeDirectories(path));
  path = WithoutSymlinks(path);
  if (absl::c_linear_search(file.mounts, path)) return false;
  file.mounts.push_back(path);
  return true;
}

// A cluster that was brought up.
struct Brought {
  ClusterFile file;
  std::vector<StartedServer> servers;
};

absl::Status Serve(const UpOptions& options, const ClusterDirectory& dir, Brought& brought) {
  WaitOptions wait;
  wait.timeout = absl::Seconds(options.timeout_s);
  if (options.foreground) {
    wait.stop_requested = [] { return StopRequested(absl::ZeroDuration()); };
  }
  ASSIGN_OR_RETURN(wire::StatusResponse status,
                   WaitUntilReady(dir, brought.file, brought.servers, wait));
  ASSIGN_OR_RETURN(const bool new_mount, AddMountpoint(options.mountpoint, brought.file));
  ASSIGN_OR_RETURN(std::vector<std::string> mounted, MountMissing(dir, brought.file));
  // Only now: a mountpoint that cannot be mounted must not fail every later `up`.
  if (new_mount) RETURN_IF_ERROR(dir.Write(brought.file));
  PrintSummary(dir, brought.file, brought.servers, mounted);
  if (!status.problems().empty()) std::printf("\n");
  for (const std::string& problem : status.problems()) {
    std::printf("PROBLEM  %s\n", problem.c_str());
  }
  std::fflush(stdout);
  return absl::OkStatus();
}

// Takes away what `up` made in a new directory before it was refused.
void RemoveTraces(const ClusterDirectory& dir, bool was_there) {
  unlink(dir.Below("run/lock").c_str());
  rmdir(dir.Below("run").c_str());
  if (!was_there) rmdir(dir.root.c_str());  // stays when anything else is in it
}

absl::StatusOr<Brought> Bring(const UpOptions& options, const ClusterDirectory& dir,
                              bool was_there) {
  ASSIGN_OR_RETURN(DirectoryLock lock, DirectoryLock::Take(dir));
  absl::Cleanup tidy = [&] {
    if (!dir.HasCluster()) RemoveTraces(dir, was_there);
  };
  Brought brought;
  ASSIGN_OR_RETURN(brought.file, OpenOrMakeCluster(dir, options.layout));
  ASSIGN_OR_RETURN(brought.servers, StartServers(dir, brought.file));
  const absl::Status remembered = RememberCluster(dir.root);
  if (!remembered.ok()) {
    std::fprintf(stderr,
                 "penstock: warning: other verbs will not find this cluster by themselves (%s); "
                 "name it by --cluster %s\n",
                 std::string(remembered.message()).c_str(), ShellWord(dir.root).c_str());
  }
  const absl::Status serving = Serve(options, dir, brought);
  if (serving.ok()) return brought;
  if (options.foreground) StopCluster(dir, brought.file, {}).status().IgnoreError();
  return serving;
}

absl::Status CheckNames(const UpOptions& options, const ClusterDirectory& dir) {
  if (options.directory.empty() || dir.root == "/") {
    return UsageError("DIR is empty or /; name a directory of its own for the cluster");
  }
  if (absl::StrContains(dir.root, ',')) {
    return UsageError(absl::StrCat("DIR may have no comma in it: ", dir.root));
  }
  if (options.mountpoint.empty()) return absl::OkStatus();
  const std::string mountpoint = AbsolutePath(options.mountpoint);
  if (absl::StartsWith(mountpoint + "/", dir.root + "/")) {
    return UsageError(absl::StrCat("the mountpoint ", mountpoint,
                                   " may not lie in the cluster's own directory ", dir.root));
  }
  if (absl::StartsWith(dir.root + "/", mountpoint + "/")) {
    return UsageError(absl::StrCat("the mountpoint ", mountpoint,
                                   " would hide the cluster's own directory ", dir.root));
  }
  return absl::OkStatus();
}

absl::Status Up(const UpOptions& options) {
  const ClusterDirectory dir{AbsolutePath(options.directory)};
  RETURN_IF_ERROR(CheckNames(options, dir));
  RETURN_IF_ERROR(CheckDirectory(dir));
  if (!options.mountpoint.empty()) RETURN_IF_ERROR(CheckFuse());
  const bool was_there = std::filesystem::exists(dir.root);
  RETURN_IF_ERROR(MakeDirectories(dir.Below("run")));
  if (options.foreground) BlockStopSignals();
  ASSIGN_OR_RETURN(Brought brought, Bring(options, dir, was_there));
  if (!options.foreground) return absl::OkStatus();
  return StayAndStop(dir, std::move(brought.servers));
}

}  // namespace

void AddUp(CLI::App& app, Program& program) {
  auto options = std::make_shared<UpOptions>();
  CLI::App* verb =
      app.add_subcommand("up", "starts a whole cluster on this machine, or what is missing of it");
  verb->add_option("DIR", options->directory, "holds everything: data, logs, pids, keys")
      ->required();
  verb->add_option("--mount", options->mountpoint,
                   "mount the file system there (made when missing); `up` mounts it again later")
      ->type_name("MOUNTPOINT");
  verb->add_option("--chunkservers", options->layout.chunkservers, "how many [3]")
      ->check(CLI::Range(1, 64))
      ->type_name("N");
  verb->add_option("--targets-per-server", options->layout.targets_per_server,
                   "disk directories of each chunkserver [1]")
      ->check(CLI::Range(1, 64))
      ->type_name("N");
  verb->add_option("--replication", options->layout.replication,
                   "copies of every chunk, each on another chunkserver [2]")
      ->check(CLI::Range(1, 16))
      ->type_name("R");
  verb->add_option("--base-port", options->layout.base_port,
                   "metaserver P, its control port P+1, chunkservers P+11 onwards [7400]")
      ->check(CLI::Range(1024, 65000))
      ->type_name("P");
  verb->add_option("--host", options->layout.host,
                   "address of this machine that the servers listen on [127.0.0.1]; RDMA needs one "
                   "of an RDMA device")
      ->check(CLI::ValidIPV4)
      ->type_name("ADDRESS");
  verb->add_option("--transport", options->layout.transport,
                   "of servers and mounts that are started: auto, rdma or tcp [auto]")
      ->check(CLI::IsMember({"auto", "rdma", "tcp"}));
  verb->add_option("--timeout", options->timeout_s, "how long to wait until the cluster is ready")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str()
      ->type_name("SECONDS");
  verb->add_flag("--foreground", options->foreground,
                 "stay, and stop everything on Ctrl-C or SIGTERM");
  verb->footer(
      "Run again, it starts what is missing; options that differ from the cluster's are refused.\n"
      "Servers listen on 127.0.0.1 only, unless --host says otherwise.");
  verb->callback([&program, options] { program.run = [options] { return Up(*options); }; });
}

}  // namespace penstock::cli
