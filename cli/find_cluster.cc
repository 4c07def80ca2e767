#include "cli/find_cluster.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "cli/paths.h"
#include "cli/verbs.h"
#include "common/file.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr char kSystemKeys[] = "/etc/penstock";
constexpr size_t kClustersRemembered = 16;

std::string LastClusterFile() { return StateDirectory() + "/last"; }

bool Readable(const std::string& path) { return access(path.c_str(), R_OK) == 0; }

bool LooksLikeDirectory(const std::string& text) {
  return absl::StrContains(text, '/') || text[0] == '.' ||
         ClusterDirectory{AbsolutePath(text)}.HasCluster();
}

absl::StatusOr<FoundCluster> FromDirectory(const std::string& directory) {
  const ClusterDirectory dir{AbsolutePath(directory)};
  ASSIGN_OR_RETURN(ClusterFile file, dir.Read());
  FoundCluster found;
  found.directory = dir.root;
  found.metaserver = file.metaserver;
  found.grpc_port = file.grpc_port;
  found.keys_directory = dir.KeysDirectory();
  return found;
}

std::optional<FoundCluster> KnownClusterAt(const HostPort& address) {
  for (const std::string& directory : KnownClusters()) {
    absl::StatusOr<FoundCluster> known = FromDirectory(directory);
    if (known.ok() && SameAddress(known->metaserver, address)) return *std::move(known);
  }
  return std::nullopt;
}

absl::StatusOr<FoundCluster> FromAddress(const std::string& text, const ClusterOptions& options) {
  FoundCluster found;
  ASSIGN_OR_RETURN(found.metaserver, ParseHostPort(text));
  found.grpc_port = static_cast<uint16_t>(found.metaserver.port + 1);
  found.keys_directory = Environment("PENSTOCK_KEYS");
  if (!found.keys_directory.empty() || !options.keys.empty()) return found;
  if (const auto known = KnownClusterAt(found.metaserver)) {
    found.keys_directory = known->keys_directory;
    found.grpc_port = known->grpc_port;
    return found;
  }
  if (Readable(absl::StrCat(kSystemKeys, "/admin.key"))) {
    found.keys_directory = kSystemKeys;
    return found;
  }
  return absl::NotFoundError(absl::StrCat(
      "the cluster at ", found.metaserver.ToString(),
      " wants an administrator's certificate: name "
      "the directory with ca.crt, admin.crt, admin.key and cluster.key by --keys DIR or "
      "PENSTOCK_KEYS, or put them into ",
      kSystemKeys));
}

absl::StatusOr<FoundCluster> FromName(const std::string& name, const ClusterOptions& options) {
  return LooksLikeDirectory(name) ? FromDirectory(name) : FromAddress(name, options);
}

}  // namespace

void AddClusterOptions(CLI::App* verb, ClusterOptions& options) {
  verb->add_option("--cluster", options.cluster,
                   "the DIR of `penstock up` or the metaserver's HOST[:PORT]; else "
                   "$PENSTOCK_CLUSTER, else the cluster that `penstock up` started last")
      ->type_name("DIR_OR_ADDRESS");
  verb->add_option("--keys", options.keys,
                   "directory with ca.crt, admin.crt, admin.key and cluster.key; else "
                   "$PENSTOCK_KEYS, else those of the DIR, else /etc/penstock")
      ->type_name("DIR");
  verb->add_option("--grpc-port", options.grpc_port,
                   "the metaserver's control port, when it is not the address's port + 1")
      ->check(CLI::Range(1, 65535))
      ->type_name("PORT");
}

absl::StatusOr<FoundCluster> FindCluster(const ClusterOptions& options) {
  std::string name = options.cluster;
  std::string named_by = "--cluster";
  if (name.empty()) {
    name = Environment("PENSTOCK_CLUSTER");
    named_by = "PENSTOCK_CLUSTER";
  }
  if (name.empty()) {
    name = LastCluster();
    named_by = "the last `penstock up`";
  }
  if (name.empty()) {
    return UsageError(
        "no cluster is named: use --cluster DIR_OR_ADDRESS or PENSTOCK_CLUSTER (DIR is the "
        "directory of a `penstock up`, ADDRESS the metaserver's HOST[:PORT]), or start a cluster "
        "with `penstock up DIR`");
  }
  absl::StatusOr<FoundCluster> found = FromName(name, options);
  if (!found.ok()) return Annotate(found.status(), absl::StrCat("from ", named_by));
  found->named_by = named_by;
  if (options.grpc_port != 0) found->grpc_port = options.grpc_port;
  if (!options.keys.empty()) found->keys_directory = AbsolutePath(options.keys);
  return found;
}

std::vector<std::string> KnownClusters() {
  absl::StatusOr<std::string> text = ReadSmallFile(PosixFileSystem(), LastClusterFile());
  std::vector<std::string> known;
  if (!text.ok()) return known;
  for (absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    if (ClusterDirectory{std::string(line)}.HasCluster()) known.emplace_back(line);
  }
  return known;
}

std::string LastCluster() {
  const std::vector<std::string> known = KnownClusters();
  return known.empty() ? "" : known.front();
}

absl::Status RememberCluster(const std::string& directory) {
  std::vector<std::string> known = KnownClusters();
  std::erase(known, directory);
  known.insert(known.begin(), directory);
  known.resize(std::min(known.size(), kClustersRemembered));
  RETURN_IF_ERROR(MakeDirectories(StateDirectory(), 0700));
  return WriteSmallFile(PosixFileSystem(), LastClusterFile(), absl::StrJoin(known, "\n") + "\n");
}

void ForgetCluster(const std::string& directory) {
  std::vector<std::string> known = KnownClusters();
  std::erase(known, directory);
  if (known.empty()) {
    unlink(LastClusterFile().c_str());
    return;
  }
  // What cannot be written names a directory that is gone, which readers leave out.
  WriteSmallFile(PosixFileSystem(), LastClusterFile(), absl::StrJoin(known, "\n") + "\n")
      .IgnoreError();
}

absl::StatusOr<std::string> FindMountKey(const std::string& from_option, const HostPort& address) {
  if (!from_option.empty()) return from_option;
  const std::string from_environment = Environment("PENSTOCK_KEY");
  if (!from_environment.empty()) return AbsolutePath(from_environment);
  if (const auto known = KnownClusterAt(address)) return known->keys_directory + "/cluster.key";
  const std::string system = absl::StrCat(kSystemKeys, "/cluster.key");
  if (access(system.c_str(), F_OK) == 0) return system;
  return absl::NotFoundError(
      absl::StrCat("no cluster key for ", address.ToString(),
                   ": name the file by -o key=FILE or PENSTOCK_KEY, "
                   "or put it at ",
                   system, " (it is cluster.key in the keys directory of the cluster)"));
}

}  // namespace penstock::cli
