// `penstock fsck`: cross-checks names, inodes, chunks and copies of a running cluster.
#include <absl/strings/str_cat.h>

#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/fsck/run.h"
#include "cli/human.h"
#include "cli/listing.h"
#include "cli/paths.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct FsckOptions {
  ClusterOptions cluster;
  bool repair = false;
  bool json = false;
  std::string temp_dir;
};

Json ReportJson(const FsckReport& report) {
  Json problems = Json::array();
  for (const FsckFinding& finding : report.findings) {
    problems.push_back({{"kind", std::string(NameOf(finding.problem.kind))},
                        {"text", finding.problem.text},
                        {"can_be_repaired", finding.problem.fix.has_value()},
                        {"repaired", finding.repaired},
                        {"outcome", finding.outcome}});
  }
  Json unchecked = Json::array();
  for (const std::string& what : report.unchecked) unchecked.push_back(what);
  return {{"inodes", report.inodes}, {"names", report.names},
          {"chunks", report.chunks}, {"problems", problems},
          {"unchecked", unchecked},  {"more_problems", report.more_problems}};
}

void Print(const FsckReport& report) {
  for (const FsckFinding& finding : report.findings) {
    std::printf("%s: %s\n", std::string(NameOf(finding.problem.kind)).c_str(),
                finding.problem.text.c_str());
    if (finding.outcome.empty()) continue;
    std::printf("  %s: %s\n", finding.repaired ? "repaired" : "not repaired",
                finding.outcome.c_str());
  }
  for (const std::string& what : report.unchecked) std::printf("not checked: %s\n", what.c_str());
  std::printf("%s, %s, %s: %s\n", Counted(report.inodes, "inode").c_str(),
              Counted(report.names, "name").c_str(), Counted(report.chunks, "chunk").c_str(),
              report.findings.empty()
                  ? "no problem found"
                  : Counted(report.findings.size() + report.more_problems, "problem").c_str());
}

absl::StatusOr<FsckReport> RunFsck(const FsckOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(net::ClusterKey key,
                   net::ClusterKey::Load(cluster.keys_directory + "/cluster.key"));
  FsckRun run(&admin, std::move(key), {.temp_dir = options.temp_dir, .repair = options.repair});
  return run.Run();
}

absl::Status Fsck(FsckOptions options) {
  if (options.temp_dir.empty()) options.temp_dir = Environment("TMPDIR");
  if (options.temp_dir.empty()) options.temp_dir = "/var/tmp";
  const absl::StatusOr<FsckReport> report = RunFsck(options);
  // Exit code 2, as where it could not look at everything.
  if (!report.ok()) return UsageError(absl::StrCat("fsck: ", report.status().message()));
  if (options.json) {
    PrintJson(ReportJson(*report));
  } else {
    Print(*report);
  }
  if (!report->findings.empty()) {
    return absl::DataLossError(
        absl::StrCat(Counted(report->findings.size() + report->more_problems, "problem"), " found",
                     options.repair ? "; run fsck again to see what is left"
                                    : "; `--repair` mends what is safe"));
  }
  if (report->unchecked.empty()) return absl::OkStatus();
  return UsageError("fsck: not everything could be checked; no problem in the rest");
}

}  // namespace

void AddFsck(CLI::App& app, Program& program) {
  auto options = std::make_shared<FsckOptions>();
  CLI::App* verb = app.add_subcommand(
      "fsck", "cross-checks names, inodes, chunks and copies while the cluster runs");
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--repair", options->repair,
                 "mend what is safe; never the last copy of what has a name");
  verb->add_flag("--json", options->json, "print JSON");
  verb->add_option("--temp-dir", options->temp_dir,
                   "for sorting what does not fit into memory; else $TMPDIR, else /var/tmp")
      ->type_name("DIR");
  verb->footer("Exit codes: 0 clean, 1 problems found, 2 it could not look at everything.");
  verb->callback([&program, options] { program.run = [options] { return Fsck(*options); }; });
}

}  // namespace penstock::cli
