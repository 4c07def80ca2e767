// `penstock target drain`, `undrain` and `replace`: a target's groups go to others.
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

struct DrainOptions {
  ClusterOptions cluster;
  uint32_t target = 0;
  uint32_t onto = 0;  // 0: any
  bool json = false;
  bool dry_run = false;
  bool wait = false;
  double timeout_s = 0;
};

absl::StatusOr<wire::TargetInfo> FindTarget(const wire::StatusResponse& status, uint32_t target) {
  for (const wire::TargetInfo& info : status.targets()) {
    if (info.target().target_id() == target) return info;
  }
  return absl::NotFoundError(absl::StrCat("target ", target, " is no longer in the cluster"));
}

// Until it holds no group, and none that is a copy short waits for it.
absl::StatusOr<wire::TargetInfo> WaitUntilDrained(AdminClient& admin, const DrainOptions& options) {
  const absl::Time deadline = options.timeout_s > 0 ? absl::Now() + absl::Seconds(options.timeout_s)
                                                    : absl::InfiniteFuture();
  WorkProgress progress(absl::StrCat("draining target ", options.target));
  while (true) {
    ASSIGN_OR_RETURN(wire::StatusResponse status, PatientStatus(admin, deadline));
    ASSIGN_OR_RETURN(wire::TargetInfo info, FindTarget(status, options.target));
    if (!info.draining()) {
      return absl::CancelledError(
          absl::StrCat("target ", options.target, " was put back in service meanwhile (undrain)"));
    }
    const uint32_t left = info.groups() + info.awaited_by();
    if (left == 0) return info;
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("target ", options.target, " has still ", Counted(left, "group"),
                       " to give away after ", HumanDuration(absl::Seconds(options.timeout_s)),
                       "; the drain goes on, and `penstock status` says what it waits for"));
    }
    progress.Show(status, left);
    PauseBetweenQuestions(deadline);
  }
}

void PrintPlan(const DrainOptions& options, const wire::DrainTargetResponse& response) {
  std::printf("%s target %u: %s, about %s, %s\n%s",
              options.dry_run ? "nothing was changed; it would drain" : "draining", options.target,
              Counted(response.groups(), "group").c_str(), HumanBytes(response.bytes()).c_str(),
              response.groups() == 0 ? "have to go" : "go to others",
              SharesText(response.shares()).c_str());
}

absl::Status Drain(const DrainOptions& options) {
  if (options.timeout_s < 0) return UsageError("--timeout takes seconds");
  if (options.timeout_s > 0 && !options.wait) return UsageError("--timeout belongs to --wait");
  if (options.dry_run && options.wait) return UsageError("--dry-run starts nothing to --wait for");
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  wire::DrainTargetRequest request;
  request.set_target_id(options.target);
  request.set_onto(options.onto);
  request.set_dry_run(options.dry_run);
  ASSIGN_OR_RETURN(wire::DrainTargetResponse response, admin.DrainTarget(request));
  if (!options.json) PrintPlan(options, response);
  std::fflush(stdout);
  if (options.wait) {
    ASSIGN_OR_RETURN(*response.mutable_target(), WaitUntilDrained(admin, options));
  }
  if (options.json) {
    Json json = {{"dry_run", options.dry_run},
                 {"groups", response.groups()},
                 {"bytes", response.bytes()},
                 {"shares", ToJsonList(response.shares())},
                 {"target", ToJson(response.target())}};
    PrintJson(json);
  } else if (options.wait) {
    std::printf("target %u holds no groups any more; `penstock target remove %u` takes it out\n",
                options.target, options.target);
  } else if (!options.dry_run && response.groups() > 0) {
    std::printf("`penstock target ls` shows how far it is; the same command with --wait waits\n");
  }
  return absl::OkStatus();
}

absl::Status Undrain(const DrainOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::UndrainTargetResponse response, admin.UndrainTarget(options.target));
  if (options.json) {
    PrintJson(ToJson(response.target()));
    return absl::OkStatus();
  }
  std::printf("target %u is in service and holds %s; `penstock rebalance start` brings it more\n",
              options.target, Counted(response.target().groups(), "group").c_str());
  return absl::OkStatus();
}

CLI::App* AddVerb(CLI::App* noun, const char* name, const char* help,
                  const std::shared_ptr<DrainOptions>& options) {
  CLI::App* verb = noun->add_subcommand(name, help);
  verb->add_option("TARGET", options->target, "number, as in `penstock target ls`")->required();
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--json", options->json, "print JSON");
  return verb;
}

void AddDrainFlags(CLI::App* verb, const std::shared_ptr<DrainOptions>& options) {
  verb->add_flag("--dry-run", options->dry_run, "only say where its groups would go");
  verb->add_flag("--wait", options->wait, "come back when it holds no group and none waits for it");
  verb->add_option("--timeout", options->timeout_s, "with --wait: give up after SECONDS (exit 1)")
      ->type_name("SECONDS");
}

}  // namespace

void AddTargetDrain(CLI::App* noun, Program& program) {
  auto drain = std::make_shared<DrainOptions>();
  CLI::App* verb =
      AddVerb(noun, "drain", "gives a target's groups to others and no new ones to it", drain);
  AddDrainFlags(verb, drain);
  verb->footer(
      "Every copy stays until another is in sync. Refused when the other targets lack room or\n"
      "failure domains. A target that is away is not waited for any longer.");
  verb->callback([&program, drain] { program.run = [drain] { return Drain(*drain); }; });

  auto replace = std::make_shared<DrainOptions>();
  verb = AddVerb(noun, "replace", "as drain, but onto the target NEW where that can take them",
                 replace);
  verb->add_option("NEW", replace->onto, "number of the target that takes its place")->required();
  AddDrainFlags(verb, replace);
  verb->callback([&program, replace] { program.run = [replace] { return Drain(*replace); }; });

  auto undrain = std::make_shared<DrainOptions>();
  verb = AddVerb(noun, "undrain", "ends a drain: the target keeps what it still has", undrain);
  verb->callback([&program, undrain] { program.run = [undrain] { return Undrain(*undrain); }; });
}

}  // namespace penstock::cli
