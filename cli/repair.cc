// `penstock repair status`: which groups lack copies, and how far their repair is.
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/human.h"
#include "cli/listing.h"
#include "cli/patient_status.h"
#include "cli/verbs.h"
#include "cli/work_progress.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct RepairOptions {
  ClusterOptions cluster;
  bool json = false;
  bool wait = false;
  double timeout_s = 0;
};

bool IsDone(const wire::StatusResponse& status) {
  return status.repair().below_goal() == 0 && status.repair().syncing() == 0;
}

absl::StatusOr<wire::StatusResponse> WaitUntilDone(AdminClient& admin,
                                                   const RepairOptions& options) {
  const absl::Time deadline = options.timeout_s > 0 ? absl::Now() + absl::Seconds(options.timeout_s)
                                                    : absl::InfiniteFuture();
  WorkProgress progress("repairing");
  while (true) {
    ASSIGN_OR_RETURN(wire::StatusResponse status, PatientStatus(admin, deadline));
    if (IsDone(status)) return status;
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(
          Counted(status.repair().below_goal(), "group"), " still lack copies after ",
          HumanDuration(absl::Seconds(options.timeout_s)),
          "; the repair goes on, and `penstock repair status` says what it waits for"));
    }
    progress.Show(status, std::max(status.repair().below_goal(), status.repair().syncing()));
    PauseBetweenQuestions(deadline);
  }
}

absl::Status ShowRepair(const RepairOptions& options) {
  if (options.timeout_s < 0) return UsageError("--timeout takes seconds");
  if (options.timeout_s > 0 && !options.wait) return UsageError("--timeout belongs to --wait");
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  absl::StatusOr<wire::StatusResponse> status =
      options.wait ? WaitUntilDone(admin, options) : admin.Status();
  if (!status.ok()) return status.status();
  if (options.json) {
    PrintJson(RepairJson(*status));
  } else {
    std::fputs(RepairText(*status).c_str(), stdout);
  }
  return absl::OkStatus();
}

}  // namespace

void AddRepair(CLI::App& app, Program& program) {
  auto options = std::make_shared<RepairOptions>();
  CLI::App* noun = app.add_subcommand("repair", "copies that are missing or behind");
  noun->require_subcommand(1);
  CLI::App* verb = noun->add_subcommand(
      "status", "groups that lack copies, targets that catch up, and what the repair waits for");
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print JSON");
  verb->add_flag("--wait", options->wait, "come back when every group has all its copies in sync");
  verb->add_option("--timeout", options->timeout_s, "with --wait: give up after SECONDS (exit 1)")
      ->type_name("SECONDS");
  verb->callback([&program, options] { program.run = [options] { return ShowRepair(*options); }; });
}

}  // namespace penstock::cli
