// `penstock client ls` and `penstock client evict`.
#include <absl/strings/str_format.h>

#include <charconv>
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
  std::string session;  // as `client ls` shows it
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

// As `client ls` prints it: hexadecimal.
absl::StatusOr<uint64_t> SessionOf(const std::string& text) {
  uint64_t session = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, session, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end || session == 0) {
    return UsageError(absl::StrFormat(
        "%s is no session; the first column of `penstock client ls` shows them", text));
  }
  return session;
}

absl::Status Evict(const ClientOptions& options) {
  ASSIGN_OR_RETURN(const uint64_t session, SessionOf(options.session));
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::EvictClientResponse response, admin.EvictClient(session));
  if (options.json) {
    PrintJson(ToJson(response.client()));
  } else {
    std::printf(
        "evicted %s:%s (pid %u): its locks, leases and open files are gone; a client that\n"
        "still runs opens a new session by itself, and what it had not written is lost\n",
        response.client().hostname().c_str(), response.client().mountpoint().c_str(),
        response.client().pid());
  }
  return absl::OkStatus();
}

}  // namespace

void AddClient(CLI::App& app, Program& program) {
  auto options = std::make_shared<ClientOptions>();
  CLI::App* noun = app.add_subcommand("client", "mounted clients");
  noun->require_subcommand(1);
  CLI::App* verb = noun->add_subcommand(
      "ls",
      "lists every client: mountpoint, last heartbeat, leases, locks, open files, connections");
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print a JSON list");
  verb->callback([&program, options] { program.run = [options] { return List(*options); }; });
  verb = noun->add_subcommand(
      "evict",
      "ends a client's session: its locks, leases and open files go, unwritten data is lost");
  verb->add_option("SESSION", options->session, "as in the first column of `penstock client ls`")
      ->required();
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print the client as it was");
  verb->callback([&program, options] { program.run = [options] { return Evict(*options); }; });
}

}  // namespace penstock::cli
