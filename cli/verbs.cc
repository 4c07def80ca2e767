#include "cli/verbs.h"

#include <absl/strings/cord.h>

#include <cstdio>

namespace penstock::cli {
namespace {

constexpr absl::string_view kUsagePayload = "penstock/usage";

}  // namespace

absl::Status UsageError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsagePayload, absl::Cord("1"));
  return status;
}

int ReportOutcome(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  std::fflush(stdout);
  std::fprintf(stderr, "penstock: %s\n", std::string(status.message()).c_str());
  return status.GetPayload(kUsagePayload).has_value() ? kExitUsage : kExitFailure;
}

int RunCommand(const std::vector<std::string>& arguments) {
  CLI::App app(
      "Penstock carries a data lake to GPUs: a replicated POSIX file system.\n"
      "A first cluster on this machine:  penstock up /var/tmp/p1 --mount /var/tmp/m1",
      "penstock");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("penstock ") + PENSTOCK_VERSION);
  app.footer("`penstock VERB --help` explains each. Exit codes: 0 done, 1 failed, 2 usage.");
  Program program;
  AddUp(app, program);
  AddDown(app, program);
  AddMount(app, program);
  AddUmount(app, program);
  AddStatus(app, program);
  AddTarget(app, program);
  AddGroup(app, program);
  AddClient(app, program);
  AddStat(app, program);
  AddKey(app, program);
  AddVersion(app, program);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 takes them
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;  // 0: --help or --version
  }
  return ReportOutcome(program.run());
}

}  // namespace penstock::cli
