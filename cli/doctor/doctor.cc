// `penstock doctor`: is this machine, and the cluster, fit; and if not, what to do.
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/cluster_file.h"
#include "cli/doctor/cluster_checks.h"
#include "cli/doctor/node_checks.h"
#include "cli/doctor/real_machine.h"
#include "cli/human.h"
#include "cli/paths.h"
#include "cli/servers.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct DoctorOptions {
  ClusterOptions cluster;
  bool json = false;
};

bool IsNamed(const ClusterOptions& options) {
  return !options.cluster.empty() || !Environment("PENSTOCK_CLUSTER").empty() ||
         !LastCluster().empty();
}

ClusterFacts Ask(const FoundCluster& cluster) {
  ClusterFacts facts;
  facts.name =
      cluster.directory.empty() ? cluster.metaserver.ToString() : ShellWord(cluster.directory);
  facts.keys_directory = cluster.keys_directory;
  facts.own_version = PENSTOCK_VERSION;
  if (!cluster.directory.empty()) {
    const ClusterDirectory dir{cluster.directory};
    if (auto file = dir.Read(); file.ok()) {
      for (const ServerSpec& server : ServersOf(dir, *file)) {
        for (uint16_t port : server.ports) facts.own_ports.emplace_back(server.name, port);
      }
    }
  }
  absl::StatusOr<AdminClient> admin = AdminClient::Connect(cluster);
  if (!admin.ok()) {
    facts.status = admin.status();
    return facts;
  }
  facts.asked = absl::Now();
  facts.status = admin->Status();
  facts.answered = absl::Now();
  return facts;
}

absl::Status Examine(const DoctorOptions& options) {
  const RealMachine machine;
  Findings findings = CheckNode(machine);
  auto add = [&](Findings more) {
    for (Finding& finding : more) findings.push_back(std::move(finding));
  };
  if (!IsNamed(options.cluster)) {
    add(CheckDefaultPorts(machine));
    findings.push_back(Ok("cluster", "none is named (--cluster): only this machine was looked at"));
  } else if (auto cluster = FindCluster(options.cluster); cluster.ok()) {
    add(CheckCluster(machine, Ask(*cluster)));
  } else {
    findings.push_back(Problem("cluster", std::string(cluster.status().message()),
                               "name another by --cluster, or leave it out"));
  }
  if (options.json) {
    PrintJson(FindingsJson(findings));
  } else {
    std::fputs(FindingsText(findings).c_str(), stdout);
  }
  const size_t problems = CountOf(findings, Finding::Level::kProblem);
  if (problems == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("doctor found ", Counted(problems, "problem")));
}

}  // namespace

void AddDoctor(CLI::App& app, Program& program) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* verb = app.add_subcommand(
      "doctor", "looks whether this machine and the cluster are fit, and says what to do");
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print a JSON list");
  verb->callback([&program, options] { program.run = [options] { return Examine(*options); }; });
}

}  // namespace penstock::cli
