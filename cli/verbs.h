// The verbs of the `penstock` command, one file a noun. Each Add function describes its verb to
// CLI11 and, when it is the one that the user typed, sets `program.run`.
// Exit codes: 0 done, 1 failed, 2 the command line makes no sense.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace penstock::cli {

struct Program {
  std::function<absl::Status()> run;  // what the parsed command line asks for
};

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

// An error of the command line itself: exit code 2.
absl::Status UsageError(absl::string_view message);
// Prints "penstock: MESSAGE" to standard error unless OK; the exit code.
int ReportOutcome(const absl::Status& status);

// Parses and runs a whole command line; `arguments` without the program's name.
int RunCommand(const std::vector<std::string>& arguments);
// The same for `mount.penstock SPEC DIR [-sfnv] [-o OPTIONS]`, as mount(8) calls it.
int RunMountCommand(const std::vector<std::string>& arguments);

void AddUp(CLI::App& app, Program& program);
void AddDown(CLI::App& app, Program& program);
void AddMount(CLI::App& app, Program& program);
void AddMountClient(CLI::App& app, Program& program);  // of the supervisor, not shown
void AddRestart(CLI::App& app, Program& program);
void AddUmount(CLI::App& app, Program& program);
void AddStatus(CLI::App& app, Program& program);
void AddDoctor(CLI::App& app, Program& program);
void AddServer(CLI::App& app, Program& program);
void AddTarget(CLI::App& app, Program& program);
void AddGroup(CLI::App& app, Program& program);
void AddRepair(CLI::App& app, Program& program);
void AddScrub(CLI::App& app, Program& program);
void AddBackup(CLI::App& app, Program& program);
void AddFsck(CLI::App& app, Program& program);
void AddConfig(CLI::App& app, Program& program);
void AddEvents(CLI::App& app, Program& program);
void AddRebalance(CLI::App& app, Program& program);
void AddClient(CLI::App& app, Program& program);
void AddStat(CLI::App& app, Program& program);
void AddKey(CLI::App& app, Program& program);
void AddVersion(CLI::App& app, Program& program);

// Of the noun `target`, whose other verbs are in target.cc.
void AddTargetDrain(CLI::App* noun, Program& program);
void AddTargetRemove(CLI::App* noun, Program& program);
void AddTargetAdd(CLI::App* noun, Program& program);

}  // namespace penstock::cli
