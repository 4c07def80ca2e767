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
#include "cli/patient_status.h"
#include "cli/verbs.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

// After all is read what is repairable was repaired; the rest waits for somebody.
constexpr absl::Duration kRepairsTake = absl::Seconds(60);
// A metaserver that was just started has not heard of the servers' orders yet.
constexpr absl::Duration kHearsWithin = absl::Seconds(10);
constexpr absl::Duration kRateOver = absl::Seconds(3);  // before that a rate says nothing

struct ScrubOptions {
  ClusterOptions cluster;
  bool json = false;
  uint32_t target = 0;
  uint64_t max_rate = 0;
  bool wait = false;
  double timeout_s = 0;
};

// A damaged chunk that is being repaired.
bool IsUnderRepair(const wire::ScrubFinding& finding) {
  return finding.outcome() == wire::SCRUB_DAMAGED && finding.content_id() != 0;
}

bool HasUnderRepair(const wire::TargetScrub& scrub) {
  const auto& findings = scrub.progress().findings();
  return std::any_of(findings.begin(), findings.end(), IsUnderRepair);
}

// What the report has that somebody must see to.
absl::Status OpenFindings(const wire::ListScrubsResponse& scrubs) {
  uint64_t lost = 0, damaged = 0;
  for (const wire::TargetScrub& scrub : scrubs.targets()) {
    lost += std::max<uint64_t>(scrub.progress().lost(), scrub.lost_chunks());
    for (const wire::ScrubFinding& finding : scrub.progress().findings()) {
      damaged += finding.outcome() == wire::SCRUB_DAMAGED ? 1 : 0;
    }
  }
  if (lost == 0 && damaged == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(lost, " copies have no good one anywhere, ", damaged,
                   " findings are not repaired; `penstock scrub report` lists them"));
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

// Follows the order on the targets that it was given to.
class ScrubWait {
 public:
  ScrubWait(const ScrubOptions& options, const wire::StartScrubResponse& started)
      : options_(options),
        started_(started),
        deadline_(options.timeout_s > 0 ? absl::Now() + absl::Seconds(options.timeout_s)
                                        : absl::InfiniteFuture()) {}

  absl::StatusOr<wire::ListScrubsResponse> Run(AdminClient& admin) {
    ScrubLine line;
    while (true) {
      // The scrub goes on while the metaserver is away.
      auto scrubs =
          AskPatiently(admin, deadline_, [&] { return admin.ListScrubs(options_.target); });
      if (scrubs.ok()) {
        ASSIGN_OR_RETURN(const bool done, IsDone(*scrubs));
        if (done) return scrubs;
        line.Show(*scrubs);
      }
      if (absl::Now() >= deadline_) return TooLate(scrubs.status());
      if (!scrubs.ok()) return scrubs.status();
      PauseBetweenQuestions(deadline_);
    }
  }

 private:
  absl::StatusOr<bool> IsDone(const wire::ListScrubsResponse& scrubs) {
    left_ = 0;
    bool repairing = false, forgotten = false;
    for (const wire::TargetScrub& scrub : scrubs.targets()) {
      const auto& asked = started_.target_ids();
      if (std::find(asked.begin(), asked.end(), scrub.target_id()) == asked.end()) continue;
      if (scrub.progress().order_done() >= started_.order()) {
        repairing = repairing || HasUnderRepair(scrub);
        continue;
      }
      if (scrub.state() != wire::TARGET_ONLINE) {
        return absl::FailedPreconditionError(absl::StrCat(
            "target ", scrub.target_id(), " is ", StateName(scrub.state()),
            " now: `penstock status` says why, `penstock scrub report` what was found"));
      }
      forgotten = forgotten || (scrub.ordered() < started_.order() &&
                                scrub.progress().order() < started_.order());
      ++left_;
    }
    const absl::Time now = absl::Now();
    if (!forgotten) forgotten_since_ = absl::InfiniteFuture();
    if (forgotten) forgotten_since_ = std::min(forgotten_since_, now);
    if (now - forgotten_since_ > kHearsWithin) {
      return absl::AbortedError(
          "the metaserver was started again before the order was taken: give it again");
    }
    if (left_ > 0) return false;
    read_since_ = std::min(read_since_, now);
    return !repairing || now - read_since_ > kRepairsTake;
  }

  absl::Status TooLate(const absl::Status& asked) const {
    const std::string after = absl::StrCat(" after ", HumanDuration(deadline_ - begun_));
    if (!asked.ok()) return Annotate(asked, "the metaserver does not answer" + after);
    if (left_ == 0) {
      return absl::DeadlineExceededError("damaged copies still repaired" + after +
                                         "; `penstock scrub report` lists them");
    }
    return absl::DeadlineExceededError(
        absl::StrCat(Counted(left_, "target"), " still scrubbed", after,
                     "; it goes on, and `penstock scrub status` says how far it is"));
  }

  const ScrubOptions& options_;
  const wire::StartScrubResponse& started_;
  const absl::Time begun_ = absl::Now();
  const absl::Time deadline_;
  absl::Time forgotten_since_ = absl::InfiniteFuture();
  absl::Time read_since_ = absl::InfiniteFuture();
  size_t left_ = 0;
};

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
    ASSIGN_OR_RETURN(const wire::ListScrubsResponse scrubs, ScrubWait(options, started).Run(admin));
    Print(options, ScrubReportJson(scrubs), ScrubReportText(scrubs));
    return OpenFindings(scrubs);
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
                  "come back when all is read and repaired, with the report; exit 1 when something "
                  "stays damaged");
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
