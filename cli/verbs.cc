#include "cli/verbs.h"

#include <absl/strings/cord.h>
#include <absl/strings/str_cat.h>

#include <cstdio>

namespace penstock::cli {
namespace {

constexpr absl::string_view kUsagePayload = "penstock/usage";

// "penstock target ls": as far as the command line could be followed.
int ReportParseError(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* at = &app;
  std::string command = app.get_name();
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    command += " " + at->get_name();
  }
  const bool no_verb = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
                       !at->get_subcommands([](const CLI::App*) { return true; }).empty();
  std::string what = error.what();
  if (no_verb) {
    const std::vector<std::string> rest = at->remaining();
    what = rest.empty() ? "a verb is missing" : absl::StrCat("there is no verb '", rest[0], "'");
  }
  std::fprintf(stderr, "%s: %s; `%s --help` explains\n", command.c_str(), what.c_str(),
               command.c_str());
  return kExitUsage;
}

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
  AddMountClient(app, program);
  AddRestart(app, program);
  AddUmount(app, program);
  AddStatus(app, program);
  AddDoctor(app, program);
  AddServer(app, program);
  AddTarget(app, program);
  AddGroup(app, program);
  AddRepair(app, program);
  AddScrub(app, program);
  AddBackup(app, program);
  AddFsck(app, program);
  AddConfig(app, program);
  AddEvents(app, program);
  AddRebalance(app, program);
  AddClient(app, program);
  AddStat(app, program);
  AddKey(app, program);
  AddVersion(app, program);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 takes them
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help or --version
    return ReportParseError(app, error);
  }
  return ReportOutcome(program.run());
}

}  // namespace penstock::cli
