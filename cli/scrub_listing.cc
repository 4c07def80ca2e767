// Scrubs as JSON and as tables.
#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/strip.h>
#include <absl/time/time.h>

#include <algorithm>

#include "cli/human.h"
#include "cli/listing.h"
#include "cli/table.h"

namespace penstock::cli {
namespace {

std::string OutcomeName(wire::ScrubOutcome outcome) {
  absl::string_view name = wire::ScrubOutcome_Name(outcome);
  absl::ConsumePrefix(&name, "SCRUB_");
  return absl::AsciiStrToLower(name);
}

std::string Day(int64_t time_s) {
  if (time_s == 0) return "never";
  return absl::FormatTime("%Y-%m-%d %H:%M", absl::FromUnixSeconds(time_s), absl::LocalTimeZone());
}

bool Waits(const wire::TargetScrub& scrub) { return scrub.ordered() > scrub.progress().order(); }

Json ScrubJson(const wire::TargetScrub& scrub) {
  const wire::ScrubProgress& progress = scrub.progress();
  return {{"target", scrub.target_id()},
          {"path", scrub.path()},
          {"hostname", scrub.hostname()},
          {"state", StateName(scrub.state())},
          {"running", progress.running() || Waits(scrub)},
          {"order", std::max(scrub.ordered(), progress.order())},
          {"order_done", progress.order_done()},
          {"passes", progress.passes()},
          {"started_s", progress.started_s()},
          {"finished_s", progress.finished_s()},
          {"chunks_done", progress.chunks_done()},
          {"chunks_total", progress.chunks_total()},
          {"bytes_done", progress.bytes_done()},
          {"bytes_total", progress.bytes_total()},
          {"max_bytes_per_second", progress.bytes_per_second()},
          {"found", progress.found()},
          {"repaired", progress.repaired()},
          {"lost", progress.lost()},
          {"damaged_chunks", scrub.damaged_chunks()},
          {"lost_chunks", scrub.lost_chunks()}};
}

Json FindingJson(const wire::ScrubFinding& finding) {
  Json json = {{"outcome", OutcomeName(finding.outcome())},
               {"what", finding.what()},
               {"found_s", finding.found_s()}};
  if (finding.content_id() != 0) {
    json["content"] = absl::StrFormat("%016x", finding.content_id());
    json["index"] = finding.index();
    json["position"] = finding.position();
  }
  return json;
}

}  // namespace

Json ScrubStatusJson(const wire::ListScrubsResponse& scrubs) {
  Json list = Json::array();
  for (const wire::TargetScrub& scrub : scrubs.targets()) list.push_back(ScrubJson(scrub));
  return list;
}

Json ScrubReportJson(const wire::ListScrubsResponse& scrubs) {
  Json list = Json::array();
  for (const wire::TargetScrub& scrub : scrubs.targets()) {
    Json json = ScrubJson(scrub);
    json["findings"] = Json::array();
    for (const wire::ScrubFinding& finding : scrub.progress().findings()) {
      json["findings"].push_back(FindingJson(finding));
    }
    list.push_back(std::move(json));
  }
  return list;
}

std::string ScrubStatusText(const wire::ListScrubsResponse& scrubs) {
  Table table({">TARGET", "HOST", "STATE", "SCRUB", ">READ", ">OF", ">DONE", ">FOUND", "BEGUN",
               "LAST COMPLETE", "PATH"});
  for (const wire::TargetScrub& scrub : scrubs.targets()) {
    const wire::ScrubProgress& progress = scrub.progress();
    table.Add({absl::StrCat(scrub.target_id()), scrub.hostname(), StateName(scrub.state()),
               Waits(scrub)         ? "ordered"
               : progress.running() ? "running"
                                    : "idle",
               HumanBytes(progress.bytes_done()), HumanBytes(progress.bytes_total()),
               Percent(progress.bytes_done(), progress.bytes_total()),
               absl::StrCat(progress.found()), Day(progress.started_s()),
               Day(progress.finished_s()), scrub.path()});
  }
  return table.Render();
}

std::string ScrubReportText(const wire::ListScrubsResponse& scrubs) {
  std::string text;
  Table table({">TARGET", "CHUNK (CONTENT.INDEX)", ">POSITION", "OUTCOME", "FOUND", "WHAT"});
  size_t listed = 0;
  for (const wire::TargetScrub& scrub : scrubs.targets()) {
    const wire::ScrubProgress& progress = scrub.progress();
    absl::StrAppend(&text, "target ", scrub.target_id(), ": ", progress.found(), " found, ",
                    progress.repaired(), " repaired or gone, ", progress.lost(),
                    " with no good copy; ", progress.chunks_done(), " chunks read, last complete ",
                    Day(progress.finished_s()), "\n");
    for (const wire::ScrubFinding& finding : progress.findings()) {
      ++listed;
      const bool chunk = finding.content_id() != 0;
      table.Add({absl::StrCat(scrub.target_id()),
                 chunk ? absl::StrFormat("%016x.%d", finding.content_id(), finding.index()) : "-",
                 chunk ? absl::StrCat(finding.position()) : "-", OutcomeName(finding.outcome()),
                 Day(finding.found_s()), finding.what()});
    }
  }
  if (listed > 0) absl::StrAppend(&text, "\n", table.Render());
  return text;
}

}  // namespace penstock::cli
