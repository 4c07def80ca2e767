// `penstock target remove`: a target that holds no group leaves the cluster for good.
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/human.h"
#include "cli/listing.h"
#include "cli/paths.h"
#include "cli/stop_cluster.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kRemovePatience =
    absl::Seconds(20);  // until members have heard of a drain's end

struct RemoveOptions {
  ClusterOptions cluster;
  uint32_t target = 0;
  bool json = false;
  bool dry_run = false;
};

absl::StatusOr<wire::RemoveTargetResponse> Ask(AdminClient& admin, const RemoveOptions& options) {
  wire::RemoveTargetRequest request;
  request.set_target_id(options.target);
  request.set_dry_run(options.dry_run);
  const absl::Time deadline = absl::Now() + kRemovePatience;
  while (true) {
    auto response = admin.RemoveTarget(request);
    if (!absl::IsAborted(response.status()) || absl::Now() >= deadline) return response;
    absl::SleepFor(absl::Milliseconds(500));
  }
}

// A cluster of `penstock up` no longer starts what serves nothing. What was done, for people.
absl::StatusOr<std::string> TakeOut(const ClusterDirectory& dir, const std::string& path,
                                    bool quiet) {
  ASSIGN_OR_RETURN(DirectoryLock lock, DirectoryLock::Take(dir));
  ASSIGN_OR_RETURN(ClusterFile file, dir.Read());
  std::string done;
  const std::vector<ServerSpec> specs = ServersOf(dir, file);
  for (ChunkServerEntry& server : file.chunkservers) {
    const auto gone = std::erase_if(
        server.targets, [&](const std::string& target) { return dir.Below(target) == path; });
    if (gone == 0) continue;
    done = absl::StrCat("took it out of cluster.json");
    if (!server.targets.empty()) continue;
    for (const ServerSpec& spec : specs) {
      if (spec.name != server.name) continue;
      RETURN_IF_ERROR(StopServer(spec, quiet).status());
    }
    absl::StrAppend(&done, "; ", server.name, " served nothing else and was stopped");
  }
  if (done.empty()) return done;
  std::erase_if(file.chunkservers, [](const ChunkServerEntry& s) { return s.targets.empty(); });
  RETURN_IF_ERROR(dir.Write(file));
  return done;
}

// The target that lives in the directory now; 0: none. A command that is repeated must not take out
// one that was added since.
absl::StatusOr<uint32_t> TargetAt(AdminClient& admin, const std::string& path) {
  ASSIGN_OR_RETURN(const wire::ListTargetsResponse response, admin.ListTargets());
  for (const wire::TargetInfo& info : response.targets()) {
    if (info.target().path() == path) return info.target().target_id();
  }
  return 0;
}

absl::Status Remove(const RemoveOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::RemoveTargetResponse response, Ask(admin, options));
  const wire::TargetInfo& was = response.target();
  const std::string& path = was.target().path();
  if (options.json) PrintJson(ToJson(was));
  if (options.dry_run) {
    if (!options.json) {
      std::printf(
          "nothing was changed; target %u (%s) %s\n", options.target, path.c_str(),
          response.removed_before() ? "was removed before" : "holds no group and can be removed");
    }
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const uint32_t successor, TargetAt(admin, path));
  std::string done;
  if (!cluster.directory.empty() && successor == 0) {
    ASSIGN_OR_RETURN(done, TakeOut({cluster.directory}, path, options.json));
  }
  if (options.json) return absl::OkStatus();
  std::printf("target %u (%s) is no longer in the cluster\n", options.target, path.c_str());
  if (successor != 0) {
    std::printf("its directory holds target %u now, which stays\n", successor);
    return absl::OkStatus();
  }
  if (!done.empty()) {
    std::printf("%s\n", done.c_str());
  } else if (!response.removed_before()) {
    std::printf("take it out of its chunkserver's settings\n");
  }
  if (response.removed_before()) return absl::OkStatus();  // how much is left there is not known
  std::printf(
      "its directory is left as it is, with %s that nobody needs: delete it when you like\n",
      Counted(was.chunks(), "chunk").c_str());
  return absl::OkStatus();
}

}  // namespace

void AddTargetRemove(CLI::App* noun, Program& program) {
  auto options = std::make_shared<RemoveOptions>();
  CLI::App* verb = noun->add_subcommand(
      "remove", "takes a target that holds no group out of the cluster, for good");
  verb->add_option("TARGET", options->target, "number, as in `penstock target ls`")->required();
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--dry-run", options->dry_run, "only say whether it could be removed");
  verb->add_flag("--json", options->json, "print the target as it was");
  verb->footer(
      "`penstock target drain` (or `replace`) empties it first. Its directory is not deleted; a\n"
      "chunkserver that still has it does not serve it any more, whatever its settings say.");
  verb->callback([&program, options] { program.run = [options] { return Remove(*options); }; });
}

}  // namespace penstock::cli
