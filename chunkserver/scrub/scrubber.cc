#include "chunkserver/scrub/scrubber.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "common/logging.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr size_t kPage = 100;                                // chunks listed at once
constexpr absl::Duration kAtOnce = absl::Milliseconds(500);  // then somebody may want to know
constexpr absl::Duration kLookEvery = absl::Milliseconds(200);
constexpr int kChunkTries = 3;  // at what cannot be looked at
constexpr char kUnchecked[] = "cannot be checked: ";
constexpr int kMostInHeartbeat = 4000;  // findings of all targets: below 1 MiB
constexpr int kNice = 15;

// Nobody knows how it is until the next pass.
bool IsUnchecked(const ScrubFinding& finding) { return finding.what.starts_with(kUnchecked); }

}  // namespace

Scrubber::Scrubber(const Parts& parts, const ScrubOptions& options)
    : parts_(parts), options_(options), every_s_(absl::ToInt64Seconds(options.every)) {
  for (const auto& target : parts_.targets->all()) {
    if (!target->is_open()) continue;
    lanes_.push_back(std::make_unique<Lane>());
    lanes_.back()->target = target.get();
  }
}

Scrubber::~Scrubber() { Stop(); }

void Scrubber::Start() {
  for (auto& lane : lanes_) {
    lane->thread = std::thread([this, lane = lane.get()] {
      pthread_setname_np(pthread_self(), "scrub");
      setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
      Run(*lane);
    });
  }
}

void Scrubber::Stop() {
  stop_.Set();
  for (auto& lane : lanes_) {
    if (lane->thread.joinable()) lane->thread.join();
  }
}

void Scrubber::Take(absl::Span<const wire::ScrubOrder> orders) {
  absl::MutexLock lock(&mu_);
  for (const wire::ScrubOrder& order : orders) {
    for (auto& lane : lanes_) {
      if (lane->target->target_id().value() != order.target_id()) continue;
      if (order.order() > lane->order.order()) lane->order = order;
    }
  }
}

std::vector<wire::ScrubProgress> Scrubber::progress() const {
  std::vector<wire::ScrubProgress> all;
  const int most =
      std::max(10, kMostInHeartbeat / static_cast<int>(std::max<size_t>(1, lanes_.size())));
  absl::MutexLock lock(&mu_);
  for (const auto& lane : lanes_) {
    if (lane->shown.target_id() == 0 || lane->target->removed) continue;
    all.push_back(lane->shown);
    auto* findings = all.back().mutable_findings();  // newest first
    if (findings->size() > most) findings->DeleteSubrange(most, findings->size() - most);
  }
  return all;
}

void Scrubber::Load(Lane& lane) {
  const auto exists = parts_.fs->Exists(PathOf(lane));
  if (!exists.ok() || !*exists) return;
  auto text = ReadSmallFile(parts_.fs, PathOf(lane));
  auto state = text.ok() ? ScrubState::FromJson(*text) : text.status();
  if (state.ok()) {
    lane.state = *std::move(state);
    return;
  }
  // Nothing but time is lost: it is read from the beginning.
  SPDLOG_WARN("scrub starts anew target={} error={}", lane.target->target_id().value(),
              Quoted(state.status().ToString()));
}

void Scrubber::Run(Lane& lane) {
  Load(lane);
  while (!stop_.is_set()) {
    if (lane.target->removed) {  // nobody needs its copies, or would be told of them
      stop_.Wait(kLookEvery);
      continue;
    }
    TakeOrder(lane);
    const absl::Duration now = parts_.clock->SinceBoot();
    if (!lane.state.running && IsDue(lane)) {
      lane.state.Begin(absl::ToUnixSeconds(parts_.clock->Now()));
      std::erase_if(lane.state.findings, IsUnchecked);  // it is found once more, or not
      lane.changed = true;
      SPDLOG_INFO("scrub begins target={} order={}", lane.target->target_id().value(),
                  lane.state.ordered ? lane.state.order : 0);
    }
    if (lane.state.running && now >= lane.next) ReadSome(lane);
    Review(lane);
    Save(lane, /*now=*/!lane.state.running);
    Show(lane);
    const absl::Duration rest = lane.next - parts_.clock->SinceBoot();
    const bool goes_on = lane.state.running && rest <= absl::ZeroDuration();
    if (!goes_on) stop_.Wait(lane.state.running ? std::min(rest, kLookEvery) : kLookEvery);
  }
  if (!lane.target->removed) Save(lane, /*now=*/true);
}

void Scrubber::TakeOrder(Lane& lane) {
  wire::ScrubOrder order;
  {
    absl::MutexLock lock(&mu_);
    order = lane.order;
  }
  if (order.order() <= lane.state.order) return;
  lane.state.order = order.order();
  lane.state.max_bytes_per_second = order.max_bytes_per_second();
  lane.state.ordered = true;
  lane.state.running = false;  // what was begun is begun anew
  lane.next = parts_.clock->SinceBoot();
  lane.changed = true;
}

bool Scrubber::IsDue(const Lane& lane) const {
  if (lane.state.ordered) return true;
  // Before the number is known nobody could be told what was found.
  if (every() == absl::ZeroDuration() || !lane.target->target_id().valid()) return false;
  const absl::Time last = absl::FromUnixSeconds(lane.state.started_s);
  return lane.state.started_s == 0 || parts_.clock->Now() - last >= every();
}

uint64_t Scrubber::RateOf(const Lane& lane) const {
  if (lane.state.ordered) return lane.state.max_bytes_per_second;
  const auto space = lane.target->store->Space();
  const absl::Duration within = every();
  return ScrubPace::RateFor(space.ok() ? space->stored_bytes : 0,
                            within > absl::ZeroDuration() ? within : ScrubOptions().every);
}

void Scrubber::ReadSome(Lane& lane) {
  ScrubState& state = lane.state;
  if (!state.index_checked) CheckIndex(lane);
  if (!state.index_checked) return;
  const absl::Duration begun = parts_.clock->SinceBoot();
  std::vector<std::pair<ChunkKey, ChunkInfo>> page;
  const absl::Status listed = lane.target->store->VisitGroup(
      0, 1, state.position, [&](const ChunkKey& key, const ChunkInfo& info) {
        page.emplace_back(key, info);
        return page.size() < kPage;
      });
  if (!listed.ok() && page.empty()) {
    if (!GivesUp(lane)) return;
    // Nothing behind it can be listed.
    FoundInIndex(lane, listed);
    return End(lane);
  }
  for (const auto& [key, info] : page) {
    CheckChunk(lane, key, info);
    const absl::Duration now = parts_.clock->SinceBoot();
    if (stop_.is_set() || lane.tries > 0 || lane.next > now || now - begun > kAtOnce) return;
  }
  if (listed.ok() && page.size() < kPage) End(lane);
}

void Scrubber::End(Lane& lane) {
  ScrubState& state = lane.state;
  state.End(absl::ToUnixSeconds(parts_.clock->Now()));
  lane.changed = true;
  SPDLOG_INFO("scrub ends target={} chunks={} bytes={} found={}", lane.target->target_id().value(),
              state.chunks_done, state.bytes_done, state.found);
}

void Scrubber::CheckIndex(Lane& lane) {
  const auto report = lane.target->store->CheckIndex();
  if (!report.ok()) {
    // Damaged it stays, and chunks that can be listed can be read.
    if (!absl::IsDataLoss(report.status()) && !GivesUp(lane)) return;
    FoundInIndex(lane, report.status());
    lane.state.index_checked = true;
    return;
  }
  for (const std::string& what : report->damage) Found(lane, {.what = "the index: " + what});
  if (report->damage_count > report->damage.size()) {
    lane.state.found += report->damage_count - report->damage.size();
  }
  if (report->leaked_slots > 0) {
    SPDLOG_WARN("slots taken by nobody target={} slots={}", lane.target->target_id().value(),
                report->leaked_slots);
  }
  lane.state.index_checked = true;
  lane.changed = true;
}

void Scrubber::CheckChunk(Lane& lane, const ChunkKey& key, const ChunkInfo& info) {
  const absl::Duration begun = parts_.clock->SinceBoot();
  const absl::Status verified = lane.target->store->Verify(key);
  const absl::Duration now = parts_.clock->SinceBoot();
  if (absl::IsDataLoss(verified)) {
    Found(lane, {.key = key, .version = info.committed, .what = std::string(verified.message())});
  } else if (!verified.ok() && !absl::IsNotFound(verified)) {  // not found: deleted meanwhile
    if (!GivesUp(lane)) return;
    Found(lane, {.key = key,
                 .version = info.committed,
                 .what = absl::StrCat(kUnchecked, verified.ToString())});
  }
  lane.tries = 0;
  lane.state.position = key;
  ++lane.state.chunks_done;
  lane.state.bytes_done += info.stored_length;
  lane.changed = true;
  const uint64_t requests = lane.target->requests.load(std::memory_order_relaxed);
  const bool others = std::exchange(lane.requests, requests) != requests;
  lane.next = lane.pace.Next({info.stored_length, now - begun, others, RateOf(lane)}, now);
}

bool Scrubber::GivesUp(Lane& lane) {
  if (++lane.tries < kChunkTries) {
    lane.next = parts_.clock->SinceBoot() + options_.retry_every;
    return false;
  }
  lane.tries = 0;
  return true;
}

void Scrubber::FoundInIndex(Lane& lane, const absl::Status& status) {
  Found(lane,
        {.what = absl::StrCat(absl::IsDataLoss(status) ? "the index cannot be read: " : kUnchecked,
                              status.message())});
}

void Scrubber::Found(Lane& lane, ScrubFinding finding) {
  finding.found_s = absl::ToUnixSeconds(parts_.clock->Now());
  SPDLOG_WARN("scrub found damage target={} chunk={} what={}", lane.target->target_id().value(),
              finding.key.content.valid() ? ToString(finding.key) : "-", Quoted(finding.what));
  lane.state.Add(std::move(finding));
  lane.changed = true;
}

void Scrubber::Review(Lane& lane) {
  for (ScrubFinding& finding : lane.state.findings) {
    if (!finding.open() || IsUnchecked(finding)) continue;
    wire::ScrubOutcome outcome = finding.outcome;
    if (!finding.key.content.valid()) {
      // A damaged index is made anew by the next start.
      outcome = lane.target->store->Health().ok() ? wire::SCRUB_REPAIRED : wire::SCRUB_DAMAGED;
    } else if (const auto info = lane.target->store->Stat(finding.key); info.ok()) {
      if (!info->exists() || info->committed != finding.version) {
        outcome = wire::SCRUB_GONE;
      } else if (!info->quarantined) {
        outcome = wire::SCRUB_REPAIRED;
      } else {
        outcome = lane.target->lost.Has(finding.key) ? wire::SCRUB_LOST : wire::SCRUB_DAMAGED;
      }
    }
    if (outcome == finding.outcome) continue;
    finding.outcome = outcome;
    lane.changed = true;
  }
}

void Scrubber::Save(Lane& lane, bool now) {
  const absl::Duration time = parts_.clock->SinceBoot();
  if (!lane.changed || (!now && time - lane.saved < options_.save_every)) return;
  lane.changed = false;
  lane.saved = time;
  const absl::Status saved = WriteSmallFile(parts_.fs, PathOf(lane), lane.state.ToJson());
  if (!saved.ok()) {
    SPDLOG_WARN("scrub position not saved target={} error={}", lane.target->target_id().value(),
                Quoted(saved.ToString()));
  }
}

void Scrubber::Show(Lane& lane) {
  if (!lane.target->target_id().valid()) return;
  ScrubTotal total;
  if (const auto space = lane.target->store->Space(); space.ok()) {
    total = {space->chunks, space->stored_bytes};
  }
  wire::ScrubProgress shown = ProgressOf(lane.target->target_id(), lane.state, total);
  absl::MutexLock lock(&mu_);
  lane.shown = std::move(shown);
}

}  // namespace penstock::chunkserver
