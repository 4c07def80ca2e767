// `penstock version`.
#include <cstdio>
#include <memory>

#include "cli/cluster_file.h"
#include "cli/listing.h"
#include "cli/verbs.h"

namespace penstock::cli {
namespace {

absl::Status ShowVersion(bool json) {
  if (json) {
    PrintJson({{"version", PENSTOCK_VERSION}, {"cluster_file_format", kClusterFileFormat}});
  } else {
    std::printf("penstock %s\n", PENSTOCK_VERSION);
  }
  return absl::OkStatus();
}

}  // namespace

void AddVersion(CLI::App& app, Program& program) {
  auto json = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("version", "the version of this program");
  verb->add_flag("--json", *json, "print JSON");
  verb->callback([&program, json] { program.run = [json] { return ShowVersion(*json); }; });
}

}  // namespace penstock::cli
