// `penstock client ls`.
#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/listing.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct ClientOptions {
  ClusterOptions cluster;
  bool json = false;
};

absl::Status List(const ClientOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::ListClientsResponse response, admin.ListClients());
  if (options.json) {
    PrintJson(ToJsonList(response.clients()));
  } else {
    std::fputs(ClientTable(response).c_str(), stdout);
  }
  return absl::OkStatus();
}

}  // namespace

void AddClient(CLI::App& app, Program& program) {
  auto options = std::make_shared<ClientOptions>();
  CLI::App* noun = app.add_subcommand("client", "mounted clients");
  noun->require_subcommand(1);
  CLI::App* verb = noun->add_subcommand(
      "ls", "lists every client: mountpoint, open files, transport of its connections");
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print a JSON list");
  verb->callback([&program, options] { program.run = [options] { return List(*options); }; });
}

}  // namespace penstock::cli
