#include "chunkserver/scrub/scrub_state.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/status.h"

namespace penstock::chunkserver {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kFormat = 1;
constexpr int kMostReported = 200;  // findings in a heartbeat

Json ToJson(const ChunkKey& key) {
  return {{"content", key.content.value()}, {"index", key.index}, {"position", key.position}};
}
ChunkKey KeyFrom(const Json& json) {
  return {json.value("position", 0u), ContentId(json.value("content", uint64_t{0})),
          json.value("index", 0u)};
}

Json ToJson(const ScrubFinding& finding) {
  Json json = ToJson(finding.key);
  json["epoch"] = finding.version.epoch;
  json["sequence"] = finding.version.sequence;
  json["outcome"] = static_cast<int>(finding.outcome);
  json["what"] = finding.what;
  json["found_s"] = finding.found_s;
  return json;
}
ScrubFinding FindingFrom(const Json& json) {
  ScrubFinding finding;
  finding.key = KeyFrom(json);
  finding.version = {json.value("epoch", 0u), json.value("sequence", uint64_t{0})};
  const int outcome = json.value("outcome", 0);
  if (wire::ScrubOutcome_IsValid(outcome)) {
    finding.outcome = static_cast<wire::ScrubOutcome>(outcome);
  }
  finding.what = json.value("what", "");
  finding.found_s = json.value("found_s", int64_t{0});
  return finding;
}

absl::StatusOr<ScrubState> Parse(const Json& json) {
  ScrubState state;
  state.running = json.value("running", false);
  state.order = json.value("order", uint64_t{0});
  state.order_done = json.value("order_done", uint64_t{0});
  state.max_bytes_per_second = json.value("max_bytes_per_second", uint64_t{0});
  state.ordered = json.value("ordered", false);
  state.passes = json.value("passes", uint64_t{0});
  state.started_s = json.value("started_s", int64_t{0});
  state.finished_s = json.value("finished_s", int64_t{0});
  state.index_checked = json.value("index_checked", false);
  if (json.contains("position")) state.position = KeyFrom(json["position"]);
  state.chunks_done = json.value("chunks_done", uint64_t{0});
  state.bytes_done = json.value("bytes_done", uint64_t{0});
  state.found = json.value("found", uint64_t{0});
  for (const auto& finding : json.value("findings", Json::array())) {
    state.findings.push_back(FindingFrom(finding));
  }
  return state;
}

}  // namespace

void ScrubState::Begin(int64_t now_s) {
  running = true;
  started_s = now_s;
  index_checked = false;
  position.reset();
  chunks_done = bytes_done = found = 0;
  std::erase_if(findings, [](const ScrubFinding& finding) { return !finding.open(); });
}

void ScrubState::End(int64_t now_s) {
  running = false;
  ++passes;
  finished_s = now_s;
  position.reset();
  if (ordered) order_done = order;
  ordered = false;
}

void ScrubState::Add(ScrubFinding finding) {
  ++found;
  // One of an earlier pass that is still bad is told once.
  std::erase_if(findings, [&](const ScrubFinding& other) {
    return other.key == finding.key && other.version == finding.version &&
           other.what == finding.what;
  });
  findings.push_back(std::move(finding));
  if (findings.size() > kMostFindings) findings.erase(findings.begin());
}

std::string ScrubState::ToJson() const {
  Json json;
  json["format"] = kFormat;
  json["running"] = running;
  json["order"] = order;
  json["order_done"] = order_done;
  json["max_bytes_per_second"] = max_bytes_per_second;
  json["ordered"] = ordered;
  json["passes"] = passes;
  json["started_s"] = started_s;
  json["finished_s"] = finished_s;
  json["index_checked"] = index_checked;
  if (position) json["position"] = chunkserver::ToJson(*position);
  json["chunks_done"] = chunks_done;
  json["bytes_done"] = bytes_done;
  json["found"] = found;
  json["findings"] = Json::array();
  for (const ScrubFinding& finding : findings) {
    json["findings"].push_back(chunkserver::ToJson(finding));
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<ScrubState> ScrubState::FromJson(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError("scrub.json is no JSON object");
  try {
    if (const int format = json.value("format", 0); format != kFormat) {
      return absl::FailedPreconditionError(
          absl::StrCat("scrub.json has format ", format, "; this program knows ", kFormat));
    }
    return Parse(json);
  } catch (const Json::exception& error) {  // of a value of another type: nlohmann's way to say it
    return absl::DataLossError(absl::StrCat("scrub.json: ", error.what()));
  }
}

wire::ScrubProgress ProgressOf(TargetId target, const ScrubState& state, const ScrubTotal& total) {
  wire::ScrubProgress progress;
  progress.set_target_id(target.value());
  progress.set_running(state.running);
  progress.set_order(state.order);
  progress.set_order_done(state.order_done);
  progress.set_passes(state.passes);
  progress.set_started_s(state.started_s);
  progress.set_finished_s(state.finished_s);
  progress.set_chunks_done(state.chunks_done);
  progress.set_bytes_done(state.bytes_done);
  progress.set_chunks_total(std::max(total.chunks, state.chunks_done));
  progress.set_bytes_total(std::max(total.bytes, state.bytes_done));
  progress.set_bytes_per_second(state.max_bytes_per_second);
  progress.set_found(state.found);
  int reported = 0;
  for (auto it = state.findings.rbegin(); it != state.findings.rend(); ++it) {
    if (it->outcome == wire::SCRUB_LOST) progress.set_lost(progress.lost() + 1);
    if (!it->open()) progress.set_repaired(progress.repaired() + 1);
    if (++reported > kMostReported) continue;
    wire::ScrubFinding* finding = progress.add_findings();
    finding->set_content_id(it->key.content.value());
    finding->set_index(it->key.index);
    finding->set_position(it->key.position);
    finding->set_outcome(it->outcome);
    finding->set_what(it->what);
    finding->set_found_s(it->found_s);
  }
  return progress;
}

}  // namespace penstock::chunkserver
