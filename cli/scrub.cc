// `penstock scrub start|status|report`: reading all chunks to find damaged copies.
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/human.h"
#include "cli/listing.h"
#include "cli/verbs.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kAskEvery = absl::Seconds(1);
constexpr absl::Duration kRateOver = absl::Seconds(3);  // before that a rate says nothing

struct ScrubOptions {
  ClusterOptions cluster;
  bool json = false;
  uint32_t target = 0;
  uint64_t max_rate = 0;
  bool wait = false;
  double timeout_s = 0;
};

// A scrub that was ordered is done on a target when it has read all and mended what it could.
bool IsDone(const wire::TargetScrub& scrub, uint64_t order) {
  if (scrub.progress().order_done() < order) return false;
  return std::none_of(scrub.progress().findings().begin(), scrub.progress().findings().end(),
                      [](const wire::ScrubFinding& finding) {
                        return finding.outcome() == wire::SCRUB_DAMAGED &&
                               finding.content_id() != 0;
                      });
}

// On a terminal: one line that is written over.
class ScrubLine {
 public:
  ~ScrubLine() {
    if (shown_) std::fputs("\r\033[K", stderr);
  }
  void Show(const wire::ListScrubsResponse& scrubs) {
    if (isatty(STDERR_FILENO) == 0) return;
    uint64_t done = 0, total = 0, found = 0;
    for (const wire::TargetScrub& scrub : scrubs.targets()) {
      done += scrub.progress().bytes_done();
      total += scrub.progress().bytes_total();
      found += scrub.progress().found();
    }
    const absl::Time now = absl::Now();
    if (!shown_ || done < first_done_) {
      begun_ = now;
      first_done_ = done;
    }
    shown_ = true;
    std::string line = absl::StrCat("scrubbing: ", HumanBytes(done), " of ", HumanBytes(total),
                                    ", ", found, " found");
    if (now - begun_ >= kRateOver && done > first_done_) {
      const double rate =
          static_cast<double>(done - first_done_) / absl::ToDoubleSeconds(now - begun_);
      absl::StrAppend(&line, ", ", HumanBytes(static_cast<uint64_t>(rate)), "/s, about ",
                      HumanDuration(absl::Seconds(static_cast<double>(total - done) / rate)),
                      " to go");
    }
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
  }

 private:
  bool shown_ = false;
  absl::Time begun_;
  uint64_t first_done_ = 0;
};

absl::StatusOr<wire::ListScrubsResponse> WaitUntilDone(AdminClient& admin,
                                                       const ScrubOptions& options,
                                                       const wire::StartScrubResponse& started) {
  const absl::Time deadline = options.timeout_s > 0 ? absl::Now() + absl::Seconds(options.timeout_s)
                                                    : absl::InfiniteFuture();
  ScrubLine line;
  while (true) {
    ASSIGN_OR_RETURN(wire::ListScrubsResponse scrubs, admin.ListScrubs(options.target));
    size_t left = 0;
    for (const wire::TargetScrub& scrub : scrubs.targets()) {
      const auto& asked = started.target_ids();
      if (std::find(asked.begin(), asked.end(), scrub.target_id()) == asked.end()) continue;
      if (IsDone(scrub, started.order())) continue;
      if (scrub.state() != wire::TARGET_ONLINE) {
        return absl::UnavailableError(absl::StrCat(
            "target ", scrub.target_id(), " is ", StateName(scrub.state()),
            " now: `penstock status` says why, `penstock scrub report` what was found"));
      }
      if (scrub.ordered() < started.order() && scrub.progress().order() < started.order()) {
        return absl::AbortedError(
            "the metaserver was started again before the order was taken: give it again");
      }
      ++left;
    }
    if (left == 0) return scrubs;
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(Counted(left, "target"), " still scrubbed after ",
                       HumanDuration(absl::Seconds(options.timeout_s)),
                       "; it goes on, and `penstock scrub status` says how far it is"));
    }
    line.Show(scrubs);
    absl::SleepFor(std::min(kAskEvery, deadline - absl::Now()));
  }
}

void Print(const ScrubOptions& options, const Json& json, const std::string& text) {
  if (options.json) {
    PrintJson(json);
  } else {
    std::fputs(text.c_str(), stdout);
  }
}

absl::Status Start(const ScrubOptions& options) {
  if (options.timeout_s < 0) return UsageError("--timeout takes seconds");
  if (options.timeout_s > 0 && !options.wait) return UsageError("--timeout belongs to --wait");
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(const wire::StartScrubResponse started,
                   admin.StartScrub(options.target, options.max_rate));
  if (options.wait) {
    ASSIGN_OR_RETURN(const wire::ListScrubsResponse scrubs, WaitUntilDone(admin, options, started));
    Print(options, ScrubReportJson(scrubs), ScrubReportText(scrubs));
    return absl::OkStatus();
  }
  Json json = {{"order", started.order()}, {"targets", Json::array()}};
  for (uint32_t id : started.target_ids()) json["targets"].push_back(id);
  Print(options, json,
        absl::StrCat("scrubbing ", Counted(started.target_ids_size(), "target"),
                     "; `penstock scrub status` says how far it is\n"));
  return absl::OkStatus();
}

absl::Status Ask(const ScrubOptions& options, bool report) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(const wire::ListScrubsResponse scrubs, admin.ListScrubs(options.target));
  if (report) {
    Print(options, ScrubReportJson(scrubs), ScrubReportText(scrubs));
  } else {
    Print(options, ScrubStatusJson(scrubs), ScrubStatusText(scrubs));
  }
  return absl::OkStatus();
}

}  // namespace

void AddScrub(CLI::App& app, Program& program) {
  auto options = std::make_shared<ScrubOptions>();
  CLI::App* noun = app.add_subcommand("scrub", "reading all chunks to find damaged copies");
  noun->require_subcommand(1);
  auto verb = [&](const char* name, const char* text) {
    CLI::App* added = noun->add_subcommand(name, text);
    AddClusterOptions(added, options->cluster);
    added->add_flag("--json", options->json, "print JSON");
    added->add_option("--target", options->target, "this target only; default: all")
        ->type_name("ID")
        ->check(CLI::PositiveNumber);
    return added;
  };
  CLI::App* start = verb("start", "reads and checks every chunk now, and repairs what is damaged");
  AddBytes(*start, "--max-rate", options->max_rate,
           "bytes a second, of each target; default: what other work leaves");
  start->add_flag("--wait", options->wait,
                  "come back when all is read and repaired, with the report");
  start->add_option("--timeout", options->timeout_s, "with --wait: give up after SECONDS (exit 1)")
      ->type_name("SECONDS");
  start->callback([&program, options] { program.run = [options] { return Start(*options); }; });
  verb("status", "how far each target is, and when it was read last")
      ->callback([&program, options] { program.run = [options] { return Ask(*options, false); }; });
  verb("report", "what was found damaged, and what became of it")->callback([&program, options] {
    program.run = [options] { return Ask(*options, true); };
  });
}

}  // namespace penstock::cli
