// `penstock target add`: another disk directory for a cluster that `penstock up` made.
#include <absl/algorithm/container.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/admin_client.h"
#include "cli/human.h"
#include "cli/listing.h"
#include "cli/mount_table.h"
#include "cli/paths.h"
#include "cli/start_cluster.h"
#include "cli/stop_cluster.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct AddOptions {
  ClusterOptions cluster;
  std::string directory;
  std::string chunkserver;  // empty: a new one
  bool json = false;
  int timeout_s = 60;
};

absl::Status CheckNewDirectory(const std::string& path) {
  for (const MountEntry& mount : PenstockMounts()) {
    if (absl::StartsWith(path + "/", mount.mountpoint + "/")) {
      return UsageError(absl::StrCat(path, " lies in the mounted Penstock file system ",
                                     mount.mountpoint, ": name a directory on a local disk"));
    }
  }
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return absl::OkStatus();
  if (!std::filesystem::is_directory(path, error)) {
    return PosixError(ENOTDIR, absl::StrCat(path, " is no directory"));
  }
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (entry.path().filename() == "lost+found") continue;
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not empty (", entry.path().filename().string(),
                     "): name a new or empty directory, nothing is overwritten"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ChunkServerEntry> NewChunkserver(const ClusterDirectory& dir,
                                                const ClusterFile& file) {
  ChunkServerEntry entry;
  int number = 1;
  const auto is_taken = [&] {
    const std::string name = absl::StrCat("cs", number);
    // What one that was removed left there is not the new one's: its server.json knows its targets.
    std::error_code error;
    return std::filesystem::exists(dir.Below(name), error) ||
           absl::c_any_of(file.chunkservers,
                          [&](const ChunkServerEntry& server) { return server.name == name; });
  };
  while (is_taken()) ++number;
  entry.name = absl::StrCat("cs", number);
  int port = file.grpc_port + 9;
  for (const ChunkServerEntry& server : file.chunkservers) port = std::max<int>(port, server.port);
  while (++port < 65536) {
    entry.port = static_cast<uint16_t>(port);
    if (CheckPortFree(file.metaserver.host, entry.port).ok()) return entry;
  }
  return absl::ResourceExhaustedError("no port is free for another chunkserver");
}

// Adds the target to `file`; the chunkserver's name.
absl::StatusOr<std::string> AddToFile(const AddOptions& options, const ClusterDirectory& dir,
                                      const std::string& path, ClusterFile& file) {
  const std::string word(absl::StripPrefix(path, dir.root + "/"));
  ChunkServerEntry* entry = nullptr;
  if (options.chunkserver.empty()) {
    ASSIGN_OR_RETURN(ChunkServerEntry fresh, NewChunkserver(dir, file));
    file.chunkservers.push_back(std::move(fresh));
    entry = &file.chunkservers.back();
  }
  std::string names;
  for (ChunkServerEntry& server : file.chunkservers) {
    if (server.name == options.chunkserver) entry = &server;
    absl::StrAppend(&names, names.empty() ? "" : ", ", server.name);
  }
  if (entry == nullptr) {
    return UsageError(
        absl::StrCat("there is no chunkserver ", options.chunkserver, "; the cluster has ", names));
  }
  RETURN_IF_ERROR(CheckNewDirectory(path));
  // Before the file names it: later a missing directory means a disk that is away.
  RETURN_IF_ERROR(MakeDirectories(dir.Below(entry->name)));
  RETURN_IF_ERROR(MakeDirectories(path));
  entry->targets.push_back(word);
  return entry->name;
}

absl::StatusOr<wire::TargetInfo> WaitUntilServed(const FoundCluster& cluster,
                                                 const std::vector<StartedServer>& servers,
                                                 const std::string& path, int timeout_s) {
  const absl::Time deadline = absl::Now() + absl::Seconds(timeout_s);
  while (true) {
    RETURN_IF_ERROR(CheckAlive(servers));
    ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
    const auto response = admin.ListTargets();
    if (response.ok()) {
      for (const wire::TargetInfo& info : response->targets()) {
        const bool online = info.target().state() == wire::TARGET_ONLINE;
        if (info.target().path() == path && online && info.capacity_bytes() > 0) return info;
      }
    }
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("the target ", path, " is not in service after ", timeout_s,
                       " s; the cluster knows it now, and the same command waits on"));
    }
    absl::SleepFor(absl::Milliseconds(200));
  }
}

bool Names(const ClusterDirectory& dir, const ClusterFile& file, const std::string& path) {
  return absl::c_any_of(file.chunkservers, [&](const ChunkServerEntry& server) {
    return absl::c_any_of(server.targets,
                          [&](const std::string& target) { return dir.Below(target) == path; });
  });
}

absl::Status Add(const AddOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  if (cluster.directory.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "only a cluster that `penstock up` made can be given targets so: on another machine, add "
        "`target = [..., \"",
        options.directory,
        "\"]` to the chunkserver's settings and restart it, or start another chunkserver there"));
  }
  const ClusterDirectory dir{cluster.directory};
  const std::string path = AbsolutePath(options.directory);
  ASSIGN_OR_RETURN(DirectoryLock lock, DirectoryLock::Take(dir));
  ASSIGN_OR_RETURN(ClusterFile file, dir.Read());
  if (!Names(dir, file, path)) {
    const std::vector<ServerSpec> before = ServersOf(dir, file);
    ASSIGN_OR_RETURN(const std::string name, AddToFile(options, dir, path, file));
    RETURN_IF_ERROR(dir.Write(file));
    for (const ServerSpec& spec : before) {
      if (spec.name == name) RETURN_IF_ERROR(StopServer(spec, options.json).status());
    }
  }
  ASSIGN_OR_RETURN(const std::vector<StartedServer> servers, StartServers(dir, file));
  ASSIGN_OR_RETURN(const wire::TargetInfo info,
                   WaitUntilServed(cluster, servers, path, options.timeout_s));
  if (options.json) {
    PrintJson(ToJson(info));
    return absl::OkStatus();
  }
  std::printf("target %u (%s) is in service on server %u, with %s free, and holds %s\n",
              info.target().target_id(), path.c_str(), info.target().server_id(),
              HumanBytes(info.free_bytes()).c_str(), Counted(info.groups(), "group").c_str());
  if (info.groups() == 0) {
    std::printf("`penstock rebalance start` gives it its share of the data\n");
  }
  return absl::OkStatus();
}

}  // namespace

void AddTargetAdd(CLI::App* noun, Program& program) {
  auto options = std::make_shared<AddOptions>();
  CLI::App* verb = noun->add_subcommand(
      "add", "gives a cluster of `penstock up` another disk directory, on a new chunkserver");
  verb->add_option("DIR", options->directory, "new or empty directory on the disk")->required();
  AddClusterOptions(verb, options->cluster);
  verb->add_option("--chunkserver", options->chunkserver,
                   "serve it by this one (`cs2`), which is restarted, instead of a new one")
      ->type_name("NAME");
  verb->add_option("--timeout", options->timeout_s, "how long to wait until it is in service")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str()
      ->type_name("SECONDS");
  verb->add_flag("--json", options->json, "print the target");
  verb->callback([&program, options] { program.run = [options] { return Add(*options); }; });
}

}  // namespace penstock::cli
