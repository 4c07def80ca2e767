// `penstock target ls`; the verbs that move data are in target_drain.cc, target_remove.cc and
// target_add.cc.
#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/listing.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct TargetOptions {
  ClusterOptions cluster;
  bool json = false;
};

absl::Status List(const TargetOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::ListTargetsResponse response, admin.ListTargets());
  if (options.json) {
    PrintJson(ToJsonList(response.targets()));
  } else {
    std::fputs(TargetTable(response).c_str(), stdout);
  }
  return absl::OkStatus();
}

}  // namespace

void AddTarget(CLI::App& app, Program& program) {
  auto options = std::make_shared<TargetOptions>();
  CLI::App* noun = app.add_subcommand("target", "disks (targets) of the chunkservers");
  noun->require_subcommand(1);
  CLI::App* verb =
      noun->add_subcommand("ls", "lists every target: state, space, chunks, groups, errors");
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print a JSON list");
  verb->callback([&program, options] { program.run = [options] { return List(*options); }; });
  AddTargetAdd(noun, program);
  AddTargetDrain(noun, program);
  AddTargetRemove(noun, program);
}

}  // namespace penstock::cli
