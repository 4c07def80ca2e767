// `penstock config ls`, `get`, `set` and `unset`: settings of the whole cluster, while it runs.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/listing.h"
#include "cli/verbs.h"
#include "common/cluster_settings.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct ConfigOptions {
  ClusterOptions cluster;
  bool json = false;
  std::string name;
  std::string value;
};

absl::Status List(const ConfigOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::ListSettingsResponse response, admin.ListSettings());
  if (options.json) {
    PrintJson(ToJsonList(response.settings()));
  } else {
    std::fputs(SettingTable(response).c_str(), stdout);
  }
  return absl::OkStatus();
}

absl::Status Get(const ConfigOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::ListSettingsResponse response, admin.ListSettings());
  const auto& all = response.settings();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const auto& info) { return info.name() == options.name; });
  if (found == all.end()) {
    RETURN_IF_ERROR(FindSetting(options.name).status());
    return absl::NotFoundError(
        absl::StrCat("the metaserver, which runs another version, does not "
                     "know the setting ",
                     options.name));
  }
  if (options.json) {
    PrintJson(ToJson(*found));
  } else {
    std::printf("%s\n", found->value().c_str());
  }
  return absl::OkStatus();
}

absl::Status Change(const ConfigOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::ChangeSettingResponse response,
                   admin.ChangeSetting(options.name, options.value));
  const wire::SettingInfo& now = response.setting();
  if (options.json) {
    Json json = ToJson(now);
    json["before"] = response.before();
    PrintJson(json);
    return absl::OkStatus();
  }
  const std::string how = now.is_set() ? "" : ", the default";
  if (response.before() == now.value()) {
    std::printf("%s is %s%s, as before\n", now.name().c_str(), now.value().c_str(), how.c_str());
  } else {
    std::printf("%s is %s%s (it was %s)\n", now.name().c_str(), now.value().c_str(), how.c_str(),
                response.before().c_str());
  }
  return absl::OkStatus();
}

absl::Status Set(const ConfigOptions& options) {
  if (options.value.empty()) {
    return UsageError(absl::StrCat("an empty value is none; `penstock config unset ", options.name,
                                   "` brings the default back"));
  }
  return Change(options);
}

CLI::App* AddVerb(CLI::App* noun, const std::string& name, const std::string& help,
                  const std::shared_ptr<ConfigOptions>& options, Program& program,
                  absl::Status (*run)(const ConfigOptions&)) {
  CLI::App* verb = noun->add_subcommand(name, help);
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print JSON");
  verb->callback(
      [&program, options, run] { program.run = [options, run] { return run(*options); }; });
  return verb;
}

}  // namespace

void AddConfig(CLI::App& app, Program& program) {
  auto options = std::make_shared<ConfigOptions>();
  CLI::App* noun = app.add_subcommand("config", "settings of the whole cluster, while it runs");
  noun->require_subcommand(1);
  AddVerb(noun, "ls", "lists every setting: value, default, what is allowed, what it does", options,
          program, List);
  CLI::App* verb = AddVerb(noun, "get", "prints the value of one", options, program, Get);
  verb->add_option("NAME", options->name, "as `penstock config ls` lists them")->required();
  verb = AddVerb(noun, "set", "changes one, at once and for good", options, program, Set);
  verb->add_option("NAME", options->name, "as `penstock config ls` lists them")->required();
  verb->add_option("VALUE", options->value, "such as 10m, 14d, 64MiB, 200MiB/s, 5%, true")
      ->required();
  verb = AddVerb(noun, "unset", "brings the default of one back", options, program, Change);
  verb->add_option("NAME", options->name, "as `penstock config ls` lists them")->required();
}

}  // namespace penstock::cli
