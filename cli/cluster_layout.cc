#include "cli/cluster_layout.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <filesystem>
#include <set>

#include "cli/certificates.h"
#include "cli/human.h"
#include "cli/paths.h"
#include "cli/servers.h"
#include "cli/verbs.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr int kFirstChunkserverPort = 11;  // after the base port

// cs1, cs2, ... and the fixed names: what `up` itself makes, also when it was cut short.
bool IsOurs(const std::string& name) {
  static const std::set<std::string> kNames = {"cluster.json", "keys", "meta", "logs", "run"};
  return kNames.contains(name) || (name.size() > 2 && name.substr(0, 2) == "cs" &&
                                   name.find_first_not_of("0123456789", 2) == std::string::npos);
}

// Before cluster.json exists, so that a new cluster does not get stuck with ports it cannot have.
absl::Status CheckNewPorts(const ClusterDirectory& dir, const ClusterFile& file) {
  for (const ServerSpec& server : ServersOf(dir, file)) {
    for (uint16_t port : server.ports) {
      const absl::Status free = CheckPortFree(file.metaserver.host, port);
      if (free.ok()) continue;
      return absl::FailedPreconditionError(
          absl::StrCat(std::string(free.message()),
                       ". Choose other ports with --base-port P; the "
                       "cluster uses P, P+1 and P+11 to P+",
                       10 + file.chunkservers.size()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ClusterFile> NewClusterFile(const RequestedLayout& requested) {
  const int servers = requested.chunkservers.value_or(3);
  // A single chunkserver can hold one copy; whoever asks for two of them is told.
  const int replication = requested.replication.value_or(servers < 2 ? 1 : 2);
  if (replication > servers) {
    return UsageError(absl::StrCat("--replication ", replication,
                                   " wants as many chunkservers, since copies never share one; "
                                   "there would be ",
                                   servers, ": use --chunkservers ", replication, " or more"));
  }
  ClusterFile file;
  file.cluster_id = NewUuid();
  file.created = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
  file.replication = static_cast<uint32_t>(replication);
  file.targets_per_server = static_cast<uint32_t>(requested.targets_per_server.value_or(1));
  file.base_port = static_cast<uint16_t>(requested.base_port.value_or(kDefaultPort));
  file.metaserver = {requested.host.value_or("127.0.0.1"), file.base_port};
  file.transport = requested.transport.value_or("auto");
  file.grpc_port = static_cast<uint16_t>(file.base_port + 1);
  for (int i = 1; i <= servers; ++i) {
    ChunkServerEntry entry;
    entry.name = absl::StrCat("cs", i);
    entry.port = static_cast<uint16_t>(file.base_port + kFirstChunkserverPort - 1 + i);
    for (uint32_t t = 1; t <= file.targets_per_server; ++t) {
      entry.targets.push_back(absl::StrCat(entry.name, "/t", t));
    }
    file.chunkservers.push_back(std::move(entry));
  }
  return file;
}

absl::Status CheckSameLayout(const ClusterDirectory& dir, const ClusterFile& stored,
                             const RequestedLayout& requested) {
  struct Setting {
    const char* flag;
    std::optional<int> asked;
    size_t has;
  };
  const Setting settings[] = {
      {"--chunkservers", requested.chunkservers, stored.chunkservers.size()},
      {"--targets-per-server", requested.targets_per_server, stored.targets_per_server},
      {"--replication", requested.replication, stored.replication},
      {"--base-port", requested.base_port, stored.base_port},
  };
  for (const Setting& setting : settings) {
    if (!setting.asked.has_value() || static_cast<size_t>(*setting.asked) == setting.has) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("the cluster in ", dir.root, " was made with ", setting.flag, " ", setting.has,
                     " and keeps it; leave ", setting.flag, " ", *setting.asked,
                     " out, or make another cluster "
                     "in another DIR"));
  }
  if (requested.host.has_value() && *requested.host != stored.metaserver.host) {
    return absl::FailedPreconditionError(absl::StrCat("the cluster in ", dir.root,
                                                      " was made with --host ",
                                                      stored.metaserver.host, " and keeps it"));
  }
  return absl::OkStatus();
}

absl::Status CheckDirectory(const ClusterDirectory& dir) {
  std::error_code error;
  if (!std::filesystem::exists(dir.root, error) || dir.HasCluster()) return absl::OkStatus();
  if (!std::filesystem::is_directory(dir.root, error)) {
    return PosixError(ENOTDIR, absl::StrCat(dir.root, " is no directory"));
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir.root, error)) {
    const std::string name = entry.path().filename().string();
    if (IsOurs(name)) continue;
    return absl::FailedPreconditionError(absl::StrCat(dir.root,
                                                      " holds something else than a cluster (",
                                                      name, "); name an empty or new directory"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ClusterFile> OpenOrMakeCluster(const ClusterDirectory& dir,
                                              const RequestedLayout& requested) {
  if (dir.HasCluster()) {
    ASSIGN_OR_RETURN(ClusterFile stored, dir.Read());
    RETURN_IF_ERROR(CheckSameLayout(dir, stored, requested));
    RETURN_IF_ERROR(MakeDirectories(dir.Below("logs")));
    if (requested.transport.value_or(stored.transport) != stored.transport) {
      stored.transport = *requested.transport;
      RETURN_IF_ERROR(dir.Write(stored));
    }
    return stored;
  }
  ASSIGN_OR_RETURN(ClusterFile file, NewClusterFile(requested));
  RETURN_IF_ERROR(CheckNewPorts(dir, file));
  for (const char* folder : {"logs", "run", "meta"}) {
    RETURN_IF_ERROR(MakeDirectories(dir.Below(folder)));
  }
  RETURN_IF_ERROR(MakeKeys(dir.KeysDirectory(), file.cluster_id).status());
  // Only now: later a missing target directory means a disk that is away, not a new one.
  for (const ChunkServerEntry& server : file.chunkservers) {
    for (const std::string& target : server.targets) {
      RETURN_IF_ERROR(MakeDirectories(dir.Below(target)));
    }
  }
  RETURN_IF_ERROR(dir.Write(file));
  return file;
}

}  // namespace penstock::cli
