// `penstock status`: the whole cluster on one page.
#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/listing.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct StatusOptions {
  ClusterOptions cluster;
  bool json = false;
};

absl::Status ShowStatus(const StatusOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::StatusResponse status, admin.Status());
  if (options.json) {
    PrintJson(ToJson(status));
  } else {
    std::fputs(StatusText(status).c_str(), stdout);
  }
  return absl::OkStatus();
}

}  // namespace

void AddStatus(CLI::App& app, Program& program) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App* verb = app.add_subcommand(
      "status",
      "servers, targets, space, groups by state, clients, versions, transports, problems");
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print JSON");
  verb->callback([&program, options] { program.run = [options] { return ShowStatus(*options); }; });
}

}  // namespace penstock::cli
