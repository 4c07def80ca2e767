// `penstock group ls`.
#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/listing.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct GroupOptions {
  ClusterOptions cluster;
  bool json = false;
};

absl::Status List(const GroupOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::ListGroupsResponse response, admin.ListGroups());
  if (options.json) {
    PrintJson(ToJsonList(response.groups()));
  } else {
    std::fputs(GroupTable(response).c_str(), stdout);
  }
  return absl::OkStatus();
}

}  // namespace

void AddGroup(CLI::App& app, Program& program) {
  auto options = std::make_shared<GroupOptions>();
  CLI::App* noun = app.add_subcommand("group", "replication groups");
  noun->require_subcommand(1);
  CLI::App* verb =
      noun->add_subcommand("ls", "lists every group: epoch, state, members from head to tail");
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print a JSON list");
  verb->callback([&program, options] { program.run = [options] { return List(*options); }; });
}

}  // namespace penstock::cli
