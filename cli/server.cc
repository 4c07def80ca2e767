// `penstock server ls`.
#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/listing.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct ServerOptions {
  ClusterOptions cluster;
  bool json = false;
};

absl::Status List(const ServerOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::StatusResponse status, admin.Status());
  if (options.json) {
    PrintJson(ToJsonList(status.servers()));
  } else {
    std::fputs(ServerTable(status).c_str(), stdout);
  }
  return absl::OkStatus();
}

}  // namespace

void AddServer(CLI::App& app, Program& program) {
  auto options = std::make_shared<ServerOptions>();
  CLI::App* noun = app.add_subcommand("server", "chunkservers");
  noun->require_subcommand(1);
  CLI::App* verb = noun->add_subcommand(
      "ls", "lists every chunkserver: address, state, targets, space, last heartbeat, version");
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print a JSON list");
  verb->callback([&program, options] { program.run = [options] { return List(*options); }; });
}

}  // namespace penstock::cli
