// `penstock rebalance`: moves data until all targets are filled alike.
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

struct RebalanceOptions {
  ClusterOptions cluster;
  std::string action = "status";
  double threshold_percent = 0;  // 0: the usual
  double max_rate_mb = 0;        // 0: no limit
  bool json = false;
  bool dry_run = false;
  bool wait = false;
  double timeout_s = 0;
};

absl::Status CheckUsage(const RebalanceOptions& options) {
  const bool starts = options.action == "start";
  if (!starts && (options.dry_run || options.threshold_percent != 0 || options.max_rate_mb != 0)) {
    return UsageError("--threshold, --max-rate and --dry-run belong to `penstock rebalance start`");
  }
  if (options.action == "stop" && options.wait) return UsageError("stop has nothing to --wait for");
  if (options.dry_run && options.wait) return UsageError("--dry-run starts nothing to --wait for");
  if (options.timeout_s < 0) return UsageError("--timeout takes seconds");
  if (options.timeout_s > 0 && !options.wait) return UsageError("--timeout belongs to --wait");
  return absl::OkStatus();
}

absl::StatusOr<wire::RebalanceInfo> Ended(const wire::RebalanceInfo& info) {
  switch (info.outcome()) {
    case wire::REBALANCE_STOPPED:
      return absl::CancelledError(absl::StrCat("the rebalance was ", info.ended()));
    case wire::REBALANCE_GAVE_UP:
      return absl::AbortedError(absl::StrCat("the rebalance gave up: ", info.ended()));
    default:
      return info;
  }
}

// Of one that ran meanwhile, CANCELLED or ABORTED when it did not come to its end.
absl::StatusOr<wire::RebalanceInfo> WaitUntilEnded(AdminClient& admin,
                                                   const RebalanceOptions& options) {
  const absl::Time deadline = options.timeout_s > 0 ? absl::Now() + absl::Seconds(options.timeout_s)
                                                    : absl::InfiniteFuture();
  WorkProgress progress("rebalancing");
  bool ran = options.action == "start";
  while (true) {
    ASSIGN_OR_RETURN(wire::StatusResponse status, PatientStatus(admin, deadline));
    const wire::RebalanceInfo& info = status.rebalance();
    if (!info.running()) return ran ? Ended(info) : info;
    ran = true;
    const uint32_t left = info.moving() + info.groups_left();
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(Counted(left, "group"), " are left to move after ",
                       HumanDuration(absl::Seconds(options.timeout_s)),
                       "; it goes on, and `penstock rebalance status` says how far it is"));
    }
    progress.Show(status, left);
    PauseBetweenQuestions(deadline);
  }
}

absl::StatusOr<wire::StartRebalanceResponse> Start(AdminClient& admin,
                                                   const RebalanceOptions& options) {
  wire::StartRebalanceRequest request;
  request.set_threshold_permille(static_cast<uint32_t>(options.threshold_percent * 10 + 0.5));
  request.set_max_bytes_per_second(static_cast<uint64_t>(options.max_rate_mb * 1e6));
  request.set_dry_run(options.dry_run);
  ASSIGN_OR_RETURN(wire::StartRebalanceResponse response, admin.StartRebalance(request));
  if (options.json) return response;
  if (response.moves().empty()) {
    std::printf("%s: nothing has to move\n", options.dry_run ? "nothing was started" : "started");
  } else {
    std::printf("%s:\n%s", options.dry_run ? "nothing was started; it would move" : "moving",
                SharesText(response.moves()).c_str());
  }
  std::fflush(stdout);
  return response;
}

absl::Status Rebalance(const RebalanceOptions& options) {
  RETURN_IF_ERROR(CheckUsage(options));
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  wire::RebalanceInfo info;
  Json moves = Json::array();
  if (options.action == "start") {
    ASSIGN_OR_RETURN(wire::StartRebalanceResponse response, Start(admin, options));
    info = response.rebalance();
    moves = ToJsonList(response.moves());
  } else if (options.action == "stop") {
    ASSIGN_OR_RETURN(wire::StopRebalanceResponse response, admin.StopRebalance());
    info = response.rebalance();
  } else {
    ASSIGN_OR_RETURN(wire::StatusResponse status, admin.Status());
    info = status.rebalance();
  }
  if (options.wait) {
    ASSIGN_OR_RETURN(info, WaitUntilEnded(admin, options));
  }
  if (options.json) {
    Json json = ToJson(info);
    if (options.action == "start") json["moves"] = std::move(moves);
    PrintJson(json);
  } else if (!options.dry_run) {
    std::fputs(RebalanceText(info).c_str(), stdout);
  }
  return absl::OkStatus();
}

}  // namespace

void AddRebalance(CLI::App& app, Program& program) {
  auto options = std::make_shared<RebalanceOptions>();
  CLI::App* verb = app.add_subcommand(
      "rebalance", "moves data from the fullest targets to the emptiest until they are alike");
  verb->add_option("ACTION", options->action, "start, status or stop [status]")
      ->check(CLI::IsMember({"start", "status", "stop"}));
  AddClusterOptions(verb, options->cluster);
  verb->add_option("--threshold", options->threshold_percent,
                   "how far apart in used percent targets may be [5]")
      ->check(CLI::Range(0.1, 100.0))
      ->type_name("PERCENT");
  verb->add_option("--max-rate", options->max_rate_mb,
                   "begin moves at no more than that, over the whole cluster [no limit]")
      ->check(CLI::Range(0.001, 1e9))
      ->type_name("MB/s");
  verb->add_flag("--dry-run", options->dry_run, "start: only say what would move");
  verb->add_flag("--wait", options->wait, "come back when it has ended");
  verb->add_option("--timeout", options->timeout_s, "with --wait: give up after SECONDS (exit 1)")
      ->type_name("SECONDS");
  verb->add_flag("--json", options->json, "print JSON");
  verb->footer(
      "It ends by itself and goes on after a restart of the metaserver. Repairs and drains go\n"
      "first. After `stop`, moves that are under way still end.");
  verb->callback([&program, options] { program.run = [options] { return Rebalance(*options); }; });
}

}  // namespace penstock::cli
