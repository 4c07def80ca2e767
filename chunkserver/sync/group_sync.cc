#include "chunkserver/sync/group_sync.h"

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

constexpr absl::Duration kLookEvery = absl::Milliseconds(50);
// A target may get its number after the map came.
constexpr absl::Duration kRefreshEvery = absl::Seconds(1);
constexpr absl::Duration kLogFailuresEvery = absl::Seconds(30);
// Foreground work goes first.
constexpr int kNice = 10;

// What is undone is looked at again soon: a write under way, or one that the settler finishes.
absl::Status Undone(const GroupPass& pass) {
  if (pass.left() == 0) return absl::OkStatus();
  const std::string text = absl::StrCat(pass.left(), " chunks are not at rest");
  if (pass.left_because().ok()) return absl::AbortedError(text);
  return Annotate(pass.left_because(), text);
}

}  // namespace

GroupSync::GroupSync(const Parts& parts, const Options& options)
    : parts_(parts), options_(options), rate_(options.bytes_per_second, parts.clock) {
  for (const auto& target : parts_.targets->all()) {
    if (!target->is_open()) continue;
    lanes_.push_back(std::make_unique<Lane>());
    lanes_.back()->target = target.get();
  }
}

GroupSync::~GroupSync() { Stop(); }

void GroupSync::Start() {
  for (auto& lane : lanes_) {
    for (int i = 0; i < options_.groups_at_once; ++i) {
      lane->threads.emplace_back([this, lane = lane.get()] {
        pthread_setname_np(pthread_self(), "group-sync");
        setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
        Run(*lane);
      });
    }
  }
}

void GroupSync::Stop() {
  stop_.Set();
  interrupt_.Fire();
  for (auto& lane : lanes_) {
    for (std::thread& thread : lane->threads) {
      if (thread.joinable()) thread.join();
    }
  }
}

void GroupSync::Run(Lane& lane) {
  while (!stop_.is_set()) {
    std::optional<GroupId> due;
    int tries = 0;
    {
      absl::MutexLock lock(&mu_);
      Refresh();
      due = TakeDue(lane.target->target_id());
      if (due) tries = work_[{lane.target->target_id(), *due}].tries;
    }
    if (!due) {
      stop_.Wait(kLookEvery);
      continue;
    }
    const auto map = parts_.map->Get();
    const Group* group = map->FindGroup(*due);
    if (group == nullptr) continue;  // groups never go
    const auto count = static_cast<uint32_t>(map->FindClass(due->storage_class)->groups.size());
    const Group as_of = *group;
    Done(lane, as_of, SyncGroup(lane, as_of, count, tries));
  }
}

void GroupSync::Refresh() {
  const auto map = parts_.map->Get();
  const absl::Duration now = parts_.clock->SinceBoot();
  if (map->version() == map_version_ && now - refreshed_ < kRefreshEvery) return;
  map_version_ = map->version();
  refreshed_ = now;
  absl::btree_map<WorkId, Work> next;
  for (uint32_t storage_class : map->classes()) {
    for (const Group& group : map->FindClass(storage_class)->groups) AddGroup(group, next);
  }
  work_ = std::move(next);
}

void GroupSync::AddGroup(const Group& group, absl::btree_map<WorkId, Work>& next) {
  for (auto& lane : lanes_) {
    const TargetId target = lane->target->target_id();
    if (!target.valid() || RoleOf(group, target) == SyncRole::kNone) continue;
    Work& work = next[{target, group.id}];
    auto known = work_.find({target, group.id});
    if (known != work_.end()) work = known->second;
    work.copies = static_cast<int>(
        std::count_if(group.members.begin(), group.members.end(),
                      [](const auto& member) { return member.state == wire::MEMBER_IN_SYNC; }));
    if (work.epoch == group.epoch) continue;
    work.epoch = group.epoch;
    work.synced = false;
    work.tries = 0;
    work.due = parts_.clock->SinceBoot();
  }
}

// Those with the fewest copies first.
std::optional<GroupId> GroupSync::TakeDue(TargetId target) {
  const absl::Duration now = parts_.clock->SinceBoot();
  Work* best = nullptr;
  GroupId found;
  for (auto it = work_.lower_bound({target, GroupId{}});
       it != work_.end() && it->first.first == target; ++it) {
    Work& work = it->second;
    if (work.running || work.synced || work.due > now) continue;
    if (best != nullptr && best->copies <= work.copies) continue;
    best = &work;
    found = it->first.second;
  }
  if (best == nullptr) return std::nullopt;
  best->running = true;
  return found;
}

absl::Status GroupSync::SyncGroup(Lane& lane, const Group& group, uint32_t group_count, int tries) {
  Target& target = *lane.target;
  const TargetId me = target.target_id();
  const SyncRole role = RoleOf(group, me);
  if (role == SyncRole::kNone) return absl::AbortedError("the map has changed");
  const GroupPass::Parts parts{parts_.map, parts_.peers, parts_.locks, &rate_, &stop_, &interrupt_};
  GroupPass pass(parts, {&target, group, group_count, &lane.counters});
  const std::vector<TargetId> sources = SourcesOf(group, me);
  if (role == SyncRole::kLead) {
    for (TargetId source : sources) RETURN_IF_ERROR(pass.Run(source));
    RETURN_IF_ERROR(Undone(pass));
    RETURN_IF_ERROR(pass.DiscardPending());
  } else {
    if (sources.empty()) return absl::UnavailableError("nobody to copy from");
    // Another one each time: what one has lost, another may have.
    RETURN_IF_ERROR(pass.Run(sources[static_cast<size_t>(tries) % sources.size()]));
    RETURN_IF_ERROR(Undone(pass));
  }
  RETURN_IF_ERROR(target.store->Barrier());
  // What is absent here is so because it is absent there.
  if (role == SyncRole::kFollow) {
    RETURN_IF_ERROR(target.store->Followed(group.id, pass.unknown_below()));
  }
  if (role == SyncRole::kLead) parts_.adopted->Set(me, group.id, group.epoch);
  return absl::OkStatus();
}

void GroupSync::Done(Lane& lane, const Group& group, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  auto it = work_.find({lane.target->target_id(), group.id});
  if (it == work_.end()) return;
  Work& work = it->second;
  work.running = false;
  if (work.epoch == group.epoch) {
    work.synced = status.ok();
    const absl::Duration pause =
        options_.first_pause * static_cast<double>(uint64_t{1} << std::min(work.tries, 20));
    work.due = parts_.clock->SinceBoot() + std::min(pause, options_.longest_pause);
    ++work.tries;
  }
  if (!stop_.is_set()) Say(lane, status);
}

// A line when a target begins and one when it is done; of what fails, one now and then.
void GroupSync::Say(Lane& lane, const absl::Status& status) {
  const TargetId target = lane.target->target_id();
  if (!status.ok()) ++failed_;
  const absl::Duration now = parts_.clock->SinceBoot();
  if (failed_ > 0 && now - logged_ >= kLogFailuresEvery) {
    SPDLOG_INFO("groups not synced yet tries={} target={} last={}", failed_, target.value(),
                Quoted(status.ToString()));
    logged_ = now;
    failed_ = 0;
  }
  const bool left = std::any_of(work_.begin(), work_.end(), [&](const auto& entry) {
    return entry.first.first == target && !entry.second.synced;
  });
  if (left == lane.busy) return;
  lane.busy = left;
  SPDLOG_INFO("target {} target={} chunks_compared={} bytes_fetched={}",
              left ? "syncs" : "has synced all groups", target.value(),
              lane.counters.chunks_done.load(), lane.counters.bytes_fetched.load());
}

std::vector<wire::SyncedGroup> GroupSync::synced() const {
  std::vector<wire::SyncedGroup> groups;
  absl::MutexLock lock(&mu_);
  for (const auto& [id, work] : work_) {
    if (!work.synced) continue;
    wire::SyncedGroup& group = groups.emplace_back();
    group.set_target_id(id.first.value());
    group.set_storage_class(id.second.storage_class);
    group.set_group(id.second.number);
    group.set_epoch(work.epoch);
  }
  return groups;
}

std::vector<wire::SyncProgress> GroupSync::progress() const {
  std::vector<wire::SyncProgress> progress;
  absl::MutexLock lock(&mu_);
  for (const auto& lane : lanes_) {
    const TargetId target = lane->target->target_id();
    uint32_t members = 0, left = 0;
    for (auto it = work_.lower_bound({target, GroupId{}});
         it != work_.end() && it->first.first == target; ++it) {
      ++members;
      if (!it->second.synced) ++left;
    }
    if (members == 0) continue;
    wire::SyncProgress& entry = progress.emplace_back();
    entry.set_target_id(target.value());
    entry.set_groups_left(left);
    entry.set_chunks_done(lane->counters.chunks_done.load());
    entry.set_bytes_fetched(lane->counters.bytes_fetched.load());
  }
  return progress;
}

}  // namespace penstock::chunkserver
