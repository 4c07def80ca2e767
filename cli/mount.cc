// `penstock mount`, and the form in which mount(8) calls mount.penstock.
#include <absl/algorithm/container.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "cli/mount_client.h"
#include "cli/mount_options.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct MountVerbOptions {
  std::string source;
  std::string mountpoint;
  std::vector<std::string> options;
  bool foreground = false;
  bool verbose = false;
};

absl::Status RunMountVerb(const MountVerbOptions& verb) {
  MountCommand command;
  command.source = verb.source;
  command.mountpoint = verb.mountpoint;
  command.foreground = verb.foreground;
  command.verbose = verb.verbose;
  command.options = verb.options;
  command.settings = DefaultMountSettings(geteuid() == 0);
  for (const std::string& options : verb.options) {
    if (absl::c_linear_search(absl::StrSplit(options, ','), absl::string_view("remount"))) {
      return UsageError("a mount keeps its options: unmount it and mount it again with others");
    }
    RETURN_IF_ERROR(ApplyMountOptions(options, command.settings));
  }
  return MountFileSystem(command);
}

// SPEC DIR [-sfnvwr] [-N namespace] [-t type] [-o options]: what mount(8) passes.
struct HelperArguments {
  MountVerbOptions verb;
  bool fake = false;
  bool sloppy = false;
  bool help = false;
};

absl::Status ParseHelperSwitches(absl::string_view switches, HelperArguments& arguments) {
  for (char c : switches) {
    switch (c) {
      case 'f':
        arguments.fake = true;
        break;
      case 's':
        arguments.sloppy = true;
        break;
      case 'v':
        arguments.verb.verbose = true;
        break;
      case 'r':
        arguments.verb.options.emplace_back("ro");
        break;
      case 'w':
        arguments.verb.options.emplace_back("rw");
        break;
      case 'n':
        break;  // no /etc/mtab
      case 'h':
        arguments.help = true;
        break;
      default:
        return UsageError(absl::StrCat("mount.penstock: unknown switch -", std::string(1, c)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<HelperArguments> ParseHelperArguments(const std::vector<std::string>& arguments) {
  HelperArguments parsed;
  std::vector<std::string> words;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const bool takes_value = word == "-o" || word == "-t" || word == "-N";
    if (takes_value && i + 1 == arguments.size()) {
      return UsageError(absl::StrCat("mount.penstock: ", word, " wants a value"));
    }
    if (takes_value) {
      if (word == "-o") parsed.verb.options.push_back(arguments[i + 1]);
      ++i;
    } else if (absl::StartsWith(word, "-o")) {
      parsed.verb.options.push_back(word.substr(2));
    } else if (word == "--help") {
      parsed.help = true;
    } else if (word.size() > 1 && word[0] == '-') {
      RETURN_IF_ERROR(ParseHelperSwitches(absl::string_view(word).substr(1), parsed));
    } else {
      words.push_back(word);
    }
  }
  if (parsed.help) return parsed;
  if (words.size() != 2) {
    return UsageError(
        "mount.penstock ADDRESS[:/subdir] MOUNTPOINT [-sfnv] [-o OPTIONS]; see `penstock mount "
        "--help`");
  }
  parsed.verb.source = words[0];
  parsed.verb.mountpoint = words[1];
  return parsed;
}

// -s: options that nobody knows are left out instead of refused.
void DropUnknownOptions(std::vector<std::string>& options) {
  std::vector<std::string> known;
  for (const std::string& list : options) {
    for (absl::string_view option : absl::StrSplit(list, ',', absl::SkipEmpty())) {
      MountSettings scratch;
      if (ApplyMountOptions(option, scratch).ok()) known.emplace_back(option);
    }
  }
  options = known;
}

}  // namespace

int RunMountCommand(const std::vector<std::string>& arguments) {
  absl::StatusOr<HelperArguments> parsed = ParseHelperArguments(arguments);
  if (!parsed.ok()) return ReportOutcome(parsed.status());
  if (parsed->help) {
    std::printf("mount.penstock ADDRESS[:/subdir] MOUNTPOINT [-sfnv] [-o OPTIONS]\n%s\n",
                MountOptionsHelp().c_str());
    return kExitOk;
  }
  if (parsed->sloppy) DropUnknownOptions(parsed->verb.options);
  if (parsed->fake) return kExitOk;
  return ReportOutcome(RunMountVerb(parsed->verb));
}

void AddMount(CLI::App& app, Program& program) {
  auto options = std::make_shared<MountVerbOptions>();
  CLI::App* verb = app.add_subcommand("mount", "mounts a cluster's file system");
  verb->add_option("SOURCE", options->source,
                   "ADDRESS[:/subdir]: the metaserver's HOST[:PORT] (port 7400 when left out), or "
                   "the DIR of `penstock up`; with :/subdir only that directory is mounted")
      ->required();
  verb->add_option("MOUNTPOINT", options->mountpoint, "an existing directory")->required();
  verb->add_option("-o", options->options, "options, see below")
      ->type_name("OPTIONS")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  verb->add_option_function<std::string>(
          "--transport",
          [options](const std::string& mode) { options->options.push_back("transport=" + mode); },
          "auto, rdma or tcp; as -o transport=")
      ->check(CLI::IsMember({"auto", "rdma", "tcp"}));
  verb->add_flag("--foreground", options->foreground,
                 "stay, log to standard error, unmount on Ctrl-C or SIGTERM");
  verb->add_flag("-v,--verbose", options->verbose, "say what is mounted with which key and log");
  verb->footer(MountOptionsHelp());
  verb->callback(
      [&program, options] { program.run = [options] { return RunMountVerb(*options); }; });
}

}  // namespace penstock::cli
