#include "chunkserver/store/doubtful_contents.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/logging.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

using Json = nlohmann::ordered_json;
using State = DoubtfulContents::State;
constexpr int kFormat = 1;
constexpr size_t kLargestFile = 64 << 20;            // of all groups of many classes
constexpr absl::Duration kSoon = absl::Seconds(1);   // raised again so soon: go farther
constexpr absl::Duration kLate = absl::Seconds(10);  // not for so long: begin anew

std::string PathOf(const std::string& dir) { return dir + "/contents.json"; }

std::string ToJson(const State& state) {
  Json json;
  json["format"] = kFormat;
  json["below"] = state.below;
  if (state.unknown_below > 0) json["unknown_below"] = state.unknown_below;
  if (state.log_cut) json["log_cut"] = true;
  for (const auto& [group, bound] : state.groups) {
    json["groups"].push_back({group.storage_class, group.number, bound});
  }
  return json.dump() + "\n";
}

absl::StatusOr<State> ReadState(const std::string& dir, FileSystem* fs) {
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(fs, PathOf(dir), kLargestFile));
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError("no JSON object");
  try {
    if (const int format = json.value("format", 0); format != kFormat) {
      return absl::FailedPreconditionError(
          absl::StrCat("it has format ", format, "; this program knows ", kFormat));
    }
    State state;
    state.below = json.value("below", UINT64_MAX);
    state.unknown_below = json.value("unknown_below", uint64_t{0});
    state.log_cut = json.value("log_cut", false);
    for (const Json& group : json.value("groups", Json::array())) {
      state.groups[{group.at(0).get<uint32_t>(), group.at(1).get<uint32_t>()}] =
          group.at(2).get<uint64_t>();
    }
    return state;
  } catch (const Json::exception& error) {  // of a value of another type: nlohmann's way to say it
    return absl::DataLossError(error.what());
  }
}

// In every group, whatever may be here is unknown.
void DoubtAll(State& state) {
  state.unknown_below = std::max(state.unknown_below, state.below);
  state.groups.clear();
}

}  // namespace

DoubtfulContents::DoubtfulContents(std::string dir, FileSystem* fs, Clock* clock, State state)
    : dir_(std::move(dir)), fs_(fs), clock_(clock) {
  absl::MutexLock lock(&mu_);
  SetState(std::move(state));
}

absl::StatusOr<std::unique_ptr<DoubtfulContents>> DoubtfulContents::Load(const std::string& dir,
                                                                         FileSystem* fs,
                                                                         Clock* clock) {
  absl::StatusOr<State> state = ReadState(dir, fs);
  if (absl::IsFailedPrecondition(state.status())) return Annotate(state.status(), PathOf(dir));
  if (!state.ok()) {
    SPDLOG_WARN("contents.json not read, any content may be here dir={} error={}", dir,
                Quoted(state.status().ToString()));
    state = State();
  }
  return std::unique_ptr<DoubtfulContents>(new DoubtfulContents(dir, fs, clock, *std::move(state)));
}

absl::Status DoubtfulContents::Create(const std::string& dir, FileSystem* fs) {
  return WriteSmallFile(fs, PathOf(dir), ToJson(State{.below = 0}));
}

void DoubtfulContents::SetState(State state) {
  state_ = std::move(state);
  below_.store(state_.below, std::memory_order_release);
  const bool in_group = std::any_of(state_.groups.begin(), state_.groups.end(),
                                    [](const auto& group) { return group.second > 0; });
  any_.store(state_.unknown_below > 0 || in_group, std::memory_order_release);
}

absl::Status DoubtfulContents::Change(absl::FunctionRef<void(State&)> change) {
  absl::MutexLock lock(&mu_);
  auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !saving_; };
  mu_.Await(absl::Condition(&idle));
  State next = state_;
  change(next);
  saving_ = true;
  mu_.Unlock();
  const absl::Status saved = WriteSmallFile(fs_, PathOf(dir_), ToJson(next));
  mu_.Lock();
  saving_ = false;
  if (saved.ok()) SetState(std::move(next));
  return Annotate(saved, "save contents.json");
}

absl::Status DoubtfulContents::Cover(ContentId content) {
  const uint64_t id = content.value();
  if (id < below_.load(std::memory_order_acquire)) return absl::OkStatus();
  uint64_t ahead = kLeastAhead;
  {
    absl::MutexLock lock(&mu_);
    const absl::Duration now = clock_->SinceBoot();
    if (now - raised_ < kSoon) ahead_ = std::min(kMostAhead, 2 * ahead_);
    if (now - raised_ > kLate) ahead_ = kLeastAhead;
    raised_ = now;
    ahead = ahead_;
  }
  const uint64_t below = id < UINT64_MAX - ahead ? id + ahead : UINT64_MAX;
  return Change([below](State& state) { state.below = std::max(state.below, below); });
}

absl::Status DoubtfulContents::Doubt() { return Change(DoubtAll); }

absl::Status DoubtfulContents::NoteLogCut() {
  return Change([](State& state) { state.log_cut = true; });
}

absl::Status DoubtfulContents::SettleLogCut(bool expected) {
  return Change([expected](State& state) {
    state.log_cut = false;
    if (!expected) DoubtAll(state);
  });
}

absl::Status DoubtfulContents::Followed(GroupId group, uint64_t bound) {
  {
    absl::MutexLock lock(&mu_);
    auto it = state_.groups.find(group);
    if ((it == state_.groups.end() ? state_.unknown_below : it->second) == bound) {
      return absl::OkStatus();
    }
  }
  return Change([&](State& state) {
    if (bound == state.unknown_below) {
      state.groups.erase(group);
    } else {
      state.groups[group] = bound;
    }
  });
}

bool DoubtfulContents::Has(GroupId group, ContentId content) const {
  if (!any()) return false;
  absl::MutexLock lock(&mu_);
  auto it = state_.groups.find(group);
  return content.value() < (it == state_.groups.end() ? state_.unknown_below : it->second);
}

bool DoubtfulContents::log_cut() const {
  absl::MutexLock lock(&mu_);
  return state_.log_cut;
}

State DoubtfulContents::state() const {
  absl::MutexLock lock(&mu_);
  return state_;
}

absl::Status DoubtfulContents::Restore(const State& state) {
  return Change([&](State& now) { now = state; });
}

}  // namespace penstock::chunkserver
