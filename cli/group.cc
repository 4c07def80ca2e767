// `penstock group ls` and `penstock group show`.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

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
  std::string group;  // CLASS/GROUP or GROUP
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

// The class by number or name; none: the first one, which every cluster has.
absl::StatusOr<wire::ListGroupsRequest> ParseGroup(const std::string& text,
                                                   const wire::StatusResponse& status) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  wire::ListGroupsRequest request;
  request.set_one(true);
  request.set_storage_class(1);
  uint32_t number = 0;
  if (parts.size() > 2 || !absl::SimpleAtoi(parts.back(), &number)) {
    return UsageError(absl::StrCat("'", text,
                                   "' is no group: CLASS/GROUP as in default/17, or a "
                                   "number of `penstock group ls`"));
  }
  request.set_number(number);
  if (parts.size() == 1) return request;
  for (const wire::MapStorageClass& c : status.classes()) {
    if (parts[0] != c.name() && parts[0] != absl::StrCat(c.storage_class())) continue;
    request.set_storage_class(c.storage_class());
    return request;
  }
  return absl::NotFoundError(
      absl::StrCat("there is no storage class '", parts[0], "'; `penstock status` lists them"));
}

absl::Status Show(const GroupOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::StatusResponse status, admin.Status());
  ASSIGN_OR_RETURN(wire::ListGroupsRequest request, ParseGroup(options.group, status));
  ASSIGN_OR_RETURN(wire::ListGroupsResponse response, admin.ListGroups(request));
  if (response.groups_size() != 1) return absl::NotFoundError("the metaserver showed no group");
  if (options.json) {
    PrintJson(GroupJson(response.groups(0), status));
  } else {
    std::fputs(GroupText(response.groups(0), status).c_str(), stdout);
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
  verb = noun->add_subcommand("show",
                              "shows one: its members, whose copy is how far, what it "
                              "waits for");
  verb->add_option("GROUP", options->group, "CLASS/GROUP, such as default/17, or the number alone")
      ->required();
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print JSON");
  verb->callback([&program, options] { program.run = [options] { return Show(*options); }; });
}

}  // namespace penstock::cli
