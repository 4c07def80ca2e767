#include "chunkserver/scrub/copy_repair.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/logging.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr size_t kPage = 1000;      // chunks listed at once
constexpr int kBeyondARound = 100;  // of those that are not remembered
constexpr absl::Duration kFetchTimeout = absl::Seconds(5);
constexpr absl::Duration kPlaceTimeout = absl::Seconds(5);
constexpr int kNice = 5;

}  // namespace

CopyRepair::CopyRepair(const Parts& parts, const Options& options)
    : parts_(parts), options_(options), rate_(options.bytes_per_second, parts.clock) {}

CopyRepair::~CopyRepair() { Stop(); }

void CopyRepair::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "copy-repair");
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
    do {
      Round();
    } while (!stop_.Wait(options_.look_every));
  });
}

void CopyRepair::Stop() {
  stop_.Set();
  interrupt_.Fire();
  if (thread_.joinable()) thread_.join();
}

void CopyRepair::Round() {
  for (auto& [id, attempt] : attempts_) attempt.seen = false;
  for (const auto& target : parts_.targets->all()) {
    if (target->is_open() && target->target_id().valid()) RoundOf(*target);
    if (stop_.is_set()) return;
  }
  // What is no longer on a list was mended, deleted or written anew.
  absl::erase_if(attempts_, [this](const auto& entry) {
    if (entry.second.seen) return false;
    if (Target* target = parts_.targets->Find(entry.first.target)) {
      target->lost.Remove(entry.first.key);
    }
    return true;
  });
}

void CopyRepair::RoundOf(Target& target) {
  Beyond& beyond = beyond_[&target];
  beyond.left = kBeyondARound;
  std::optional<ChunkKey> last;
  for (bool more = target.store->damaged_chunks() > 0; more && !stop_.is_set();) {
    std::vector<ChunkKey> keys;
    const absl::Status listed = target.store->VisitDamaged(last, [&](const ChunkKey& key) {
      keys.push_back(key);
      return keys.size() < kPage;
    });
    if (!listed.ok()) return;  // the target's health says it
    more = keys.size() == kPage;
    for (const ChunkKey& key : keys) {
      if (stop_.is_set()) return;
      Consider(target, key);
    }
    if (more) last = keys.back();
  }
  if (beyond.left > 0) beyond.last.reset();  // all had their turn
}

void CopyRepair::Consider(Target& target, const ChunkKey& key) {
  const AttemptId id{target.target_id(), key};
  if (!attempts_.contains(id) && attempts_.size() >= options_.most_attempts) {
    return ConsiderBeyond(target, key);
  }
  const auto map = parts_.map->Get();
  const Groups groups = GroupsFor(*map, target.target_id(), key);
  Attempt& attempt = attempts_[id];
  attempt.seen = true;
  uint64_t epochs = 0;
  for (const Group* group : groups) epochs += group->epoch;
  if (attempt.epochs != epochs) attempt = {.epochs = epochs, .seen = true};
  if (attempt.tries > 0 && attempt.due > parts_.clock->SinceBoot()) return;
  const Result result = Try(target, key, groups);
  if (!stop_.is_set()) Note(target, key, result, attempt);
}

// The others may all be lost: they must not keep these from being mended.
void CopyRepair::ConsiderBeyond(Target& target, const ChunkKey& key) {
  Beyond& beyond = beyond_[&target];
  if (beyond.left == 0 || (beyond.last && !InStoreOrder(*beyond.last, key))) return;
  --beyond.left;
  beyond.last = key;
  const auto map = parts_.map->Get();
  const Result result = Try(target, key, GroupsFor(*map, target.target_id(), key));
  Attempt untold{.tries = 1};  // the log would have a line of each in every turn
  if (!stop_.is_set()) Note(target, key, result, untold);
}

CopyRepair::Groups CopyRepair::GroupsFor(const ClusterMap& map, TargetId target,
                                         const ChunkKey& key) const {
  Groups groups;
  for (uint32_t storage_class : map.classes()) {
    const Group* group = map.GroupOf(storage_class, key.position);
    if (group != nullptr && ViewOf(*group, target).in_sync) groups.push_back(group);
  }
  return groups;
}

CopyRepair::Result CopyRepair::Try(Target& target, const ChunkKey& key, const Groups& groups) {
  const auto before = target.store->Stat(key);
  if (!before.ok()) return {Outcome::kRetry, before.status().ToString()};
  if (!before->exists() || !before->quarantined) return {Outcome::kGone, ""};
  if (target.store->Recheck(key).ok()) return {Outcome::kMended, "by reading it again"};
  if (groups.empty()) return {Outcome::kRetry, "the target is not in sync in its group"};
  std::optional<Result> told;
  for (const Group* group : groups) {
    bool absent = false;
    Result result = TryGroup(target, key, *group, &absent);
    if (result.outcome == Outcome::kMended || result.outcome == Outcome::kGone) return result;
    if (absent && groups.size() > 1) continue;  // it is of another storage class
    if (!told || told->outcome == Outcome::kLost) told = std::move(result);
  }
  return told.value_or(Result{Outcome::kRetry, "no other member has the chunk"});
}

CopyRepair::Result CopyRepair::TryGroup(Target& target, const ChunkKey& key, const Group& group,
                                        bool* absent) {
  Result result{Outcome::kLost, "there is no other member in sync"};
  const std::vector<TargetId> sources = SourcesOf(group, target.target_id());
  size_t without = 0;
  for (TargetId source : sources) {
    const auto action = TakeFrom(target, key, group, source);
    const std::string from = absl::StrCat("target ", source.value());
    if (absl::IsDataLoss(action.status())) {
      if (result.outcome == Outcome::kLost) result.why = absl::StrCat(from, " has no good copy");
      continue;
    }
    if (!action.ok()) {
      result = {Outcome::kRetry, action.status().ToString()};
      continue;
    }
    if (*action == MendAction::kNothing) return {Outcome::kGone, ""};
    if (*action == MendAction::kTake || *action == MendAction::kCommit) {
      return {Outcome::kMended, "from " + from};
    }
    without += *action == MendAction::kAbsent ? 1 : 0;
    result = {Outcome::kRetry, absl::StrCat(from, " has another version")};
  }
  *absent = !sources.empty() && without == sources.size();
  return result;
}

absl::StatusOr<MendAction> CopyRepair::TakeFrom(Target& target, const ChunkKey& key,
                                                const Group& group, TargetId source_target) {
  const auto map = parts_.map->Get();
  const StorageClass* storage_class = map->FindClass(group.id.storage_class);
  const wire::MapServer* server = map->ServerOf(source_target);
  if (storage_class == nullptr || server == nullptr) {
    return absl::UnavailableError("the map lacks the source's server");
  }
  ChunkStore& store = *target.store;
  SyncSource source(parts_.peers,
                    {*server, group.id, static_cast<uint32_t>(storage_class->groups.size()),
                     group.epoch, source_target, target.target_id(), kFetchTimeout},
                    &interrupt_);
  ASSIGN_OR_RETURN(const ChunkInfo seen, store.Stat(key));
  if (!rate_.Wait(seen.logical_length, stop_)) return absl::CancelledError("stopping");
  ASSIGN_OR_RETURN(const FetchedChunk fetched, source.Fetch(key));
  ASSIGN_OR_RETURN(const ChunkLocks::Guard place,
                   parts_.locks->Lock(ChunkLockId{target.target_id(), key}, kPlaceTimeout));
  ASSIGN_OR_RETURN(const ChunkInfo own, store.Stat(key));
  if (own.pending && parts_.settler != nullptr) {
    parts_.settler->Note(target.target_id(), group.id.storage_class, key);
  }
  const MendAction action = DecideMend(own, fetched.state);
  absl::Status replaced = Replace(target, key, group, action, fetched);
  // Bytes that were turned on their way here say nothing about the source's copy.
  if (absl::IsDataLoss(replaced)) replaced = absl::AbortedError(replaced.message());
  RETURN_IF_ERROR(replaced);
  return action;
}

absl::Status CopyRepair::Replace(Target& target, const ChunkKey& key, const Group& group,
                                 MendAction action, const FetchedChunk& fetched) {
  ChunkStore& store = *target.store;
  if (action == MendAction::kTake) return store.Mend(key, fetched.content);
  if (action != MendAction::kCommit) return absl::OkStatus();
  // Own versions continue above it when this member is the head one day.
  RETURN_IF_ERROR(store.RaiseSequence(fetched.content.version.sequence));
  target.memory.Forget(key, group.epoch);
  return store.Adopt(key, fetched.content);
}

void CopyRepair::Note(Target& target, const ChunkKey& key, const Result& result, Attempt& attempt) {
  ++attempt.tries;
  attempt.due = parts_.clock->SinceBoot() + PauseAfter(options_.pauses, attempt.tries);
  switch (result.outcome) {
    case Outcome::kMended:
      target.repaired.fetch_add(1);
      target.lost.Remove(key);
      SPDLOG_INFO("chunk repaired chunk={} target={} how={}", ToString(key),
                  target.target_id().value(), Quoted(result.why));
      return;
    case Outcome::kGone:
      target.lost.Remove(key);
      return;
    case Outcome::kLost:
      if (!target.lost.Add(key)) return;
      SPDLOG_ERROR("chunk has no good copy now chunk={} target={} why={}", ToString(key),
                   target.target_id().value(), Quoted(result.why));
      return;
    case Outcome::kRetry:
      target.lost.Remove(key);
      if (attempt.tries != 1) return;  // said once
      SPDLOG_WARN("damaged chunk not repaired yet chunk={} target={} why={}", ToString(key),
                  target.target_id().value(), Quoted(result.why));
      return;
  }
}

}  // namespace penstock::chunkserver
