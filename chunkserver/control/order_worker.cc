#include "chunkserver/control/order_worker.h"

#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/logging.h"
#include "common/placement.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr absl::Duration kChunkTimeout = absl::Seconds(10);
constexpr size_t kMaxWaiting = 10'000;  // of each kind; more come again
constexpr size_t kBatch = 4096;         // chunks between two looks at whether to stop
constexpr absl::Duration kLogFailuresEvery = absl::Seconds(30);

FileLayout LayoutOf(const wire::Layout& layout) {
  FileLayout file;
  file.content = ContentId(layout.content_id());
  file.seed = layout.seed();
  file.chunk_size_log2 = static_cast<uint8_t>(layout.chunk_size_log2());
  file.storage_class = layout.storage_class();
  return file;
}

absl::Status CheckLayout(const wire::Layout& layout) {
  if (layout.content_id() == 0 || layout.chunk_size_log2() < 12 || layout.chunk_size_log2() > 31) {
    return absl::InvalidArgumentError("an order with a layout that makes no sense");
  }
  return absl::OkStatus();
}

}  // namespace

void OrderWorker::Start() {
  deleter_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "delete");
    Run(&OrderWorker::deletions_);
  });
  truncater_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "truncate");
    Run(&OrderWorker::truncations_);
  });
}

void OrderWorker::Stop() {
  stop_.Set();
  if (deleter_.joinable()) deleter_.join();
  if (truncater_.joinable()) truncater_.join();
}

void OrderWorker::Take(absl::Span<const wire::Order> orders, absl::Span<const uint64_t> reported) {
  absl::MutexLock lock(&mu_);
  absl::flat_hash_set<uint64_t> asked;
  for (const wire::Order& order : orders) {
    asked.insert(order.order_id());
    Lane& lane = order.has_truncate_content() ? truncations_ : deletions_;
    if (done_.contains(order.order_id()) || lane.running == order.order_id()) continue;
    if (lane.waiting.size() < kMaxWaiting) lane.waiting.try_emplace(order.order_id(), order);
  }
  for (uint64_t id : reported) {
    if (!asked.contains(id)) done_.erase(id);
  }
}

std::vector<uint64_t> OrderWorker::done() const {
  absl::MutexLock lock(&mu_);
  return {done_.begin(), done_.end()};
}

void OrderWorker::Run(Lane OrderWorker::*which) {
  while (!stop_.is_set()) {
    std::optional<wire::Order> order;
    {
      absl::MutexLock lock(&mu_);
      Lane& lane = this->*which;
      if (!lane.waiting.empty()) {
        order = std::move(lane.waiting.begin()->second);
        lane.running = lane.waiting.begin()->first;
        lane.waiting.erase(lane.waiting.begin());
      }
    }
    if (!order) {
      stop_.Wait(absl::Milliseconds(100));
      continue;
    }
    const absl::Status status = Execute(*order);
    if (!status.ok() && !stop_.is_set()) Failed(*order, status);
    absl::MutexLock lock(&mu_);
    (this->*which).running.reset();
    if (status.ok()) done_.insert(order->order_id());
  }
}

// A failing disk fails every order, again and again: one line now and then says it.
void OrderWorker::Failed(const wire::Order& order, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  ++failed_;
  if (absl::Now() - logged_ < kLogFailuresEvery) return;
  SPDLOG_WARN("orders failed count={} last={} error={}", failed_, order.order_id(),
              Quoted(status.ToString()));
  logged_ = absl::Now();
  failed_ = 0;
}

absl::Status OrderWorker::Execute(const wire::Order& order) {
  switch (order.kind_case()) {
    case wire::Order::kDeleteContent:
      return DeleteContent(order.delete_content());
    case wire::Order::kTruncateContent:
      return TruncateContent(order.truncate_content());
    case wire::Order::kDropGroup:
      return DropGroup(order.drop_group());
    case wire::Order::KIND_NOT_SET:
      break;
  }
  return absl::UnimplementedError("an order that this program does not know");
}

absl::Status OrderWorker::DropChunk(Target& target, const Group* group, const ChunkKey& key) {
  // A look without the lock first: most chunks of a content are not on this target.
  ASSIGN_OR_RETURN(ChunkInfo info, target.store->Stat(key));
  if (!info.exists() && !info.pending) return absl::OkStatus();
  ASSIGN_OR_RETURN(const ChunkLocks::Guard place,
                   parts_.locks->Lock(ChunkLockId{target.target_id(), key}, kChunkTimeout));
  ASSIGN_OR_RETURN(info, target.store->Stat(key));
  if (info.pending) RETURN_IF_ERROR(target.store->Discard(key, *info.pending));
  const ChunkVersion newest = std::max(info.committed, info.pending.value_or(ChunkVersion{}));
  ChunkVersion version;
  version.epoch = std::max(newest.epoch, group == nullptr ? 0 : group->epoch);
  RETURN_IF_ERROR(target.store->RaiseSequence(newest.sequence));
  ASSIGN_OR_RETURN(version.sequence, target.store->NextSequence());
  if (info.exists()) {
    ChunkChange change;
    change.kind = ChangeKind::kDelete;
    RETURN_IF_ERROR(target.store->Stage(key, version, change));
    RETURN_IF_ERROR(target.store->Commit(key, version));
  }
  target.memory.RememberDead(key);
  return absl::OkStatus();
}

absl::Status OrderWorker::DropContent(Target& target, const FileLayout& layout,
                                      uint64_t chunk_count) {
  const auto map = parts_.map->Get();
  auto drop = [&](const ChunkKey& key) {
    return DropChunk(target, map->GroupOf(layout.storage_class, key.position), key);
  };
  ASSIGN_OR_RETURN(const SpaceUsage space, target.store->Space());
  if (chunk_count > space.chunks) return DropFound(target, layout.content, drop);
  for (uint64_t index = 0; index < chunk_count; ++index) {
    if (index % kBatch == 0 && stop_.is_set()) return absl::CancelledError("stopping");
    RETURN_IF_ERROR(drop(ChunkKeyOf(layout, static_cast<uint32_t>(index))));
  }
  return absl::OkStatus();
}

// A file of 64 TiB may be one hole: what the target has is then sooner looked through.
absl::Status OrderWorker::DropFound(Target& target, ContentId content,
                                    absl::FunctionRef<absl::Status(const ChunkKey&)> drop) {
  std::optional<ChunkKey> last;
  for (bool more = true; more;) {
    if (stop_.is_set()) return absl::CancelledError("stopping");
    std::vector<ChunkKey> found;
    size_t seen = 0;
    more = false;
    RETURN_IF_ERROR(
        target.store->VisitGroup(0, 1, last, [&](const ChunkKey& key, const ChunkInfo&) {
          if (key.content == content) found.push_back(key);
          last = key;
          more = ++seen == kBatch;
          return !more;
        }));
    for (const ChunkKey& key : found) RETURN_IF_ERROR(drop(key));
  }
  return absl::OkStatus();
}

// The content is dead: each member drops its own chunks, no chain is needed. A target that fails
// does not keep the others from it.
absl::Status OrderWorker::DeleteContent(const wire::DeleteContent& order) {
  RETURN_IF_ERROR(CheckLayout(order.layout()));
  const FileLayout layout = LayoutOf(order.layout());
  if (order.chunk_count() > uint64_t{1} << 32) {
    return absl::InvalidArgumentError("an order for more chunks than a file has");
  }
  absl::Status first_error;
  for (const auto& target : parts_.targets->all()) {
    // The metaserver keeps the order for one that is absent, and none for one that was removed.
    if (!target->is_open() || target->removed) continue;
    first_error.Update(Annotate(DropContent(*target, layout, order.chunk_count()),
                                absl::StrCat("delete content from ", target->path)));
  }
  return first_error;
}

// Whether the target is out of the group for good, as of the order's epoch. With a newer epoch the
// target may be a member again, or its copies may count again: the metaserver decides anew.
absl::Status OrderWorker::CheckMayDrop(const wire::DropGroup& order) const {
  const auto map = parts_.map->Get();
  const Group* group = map->FindGroup(GroupId{order.storage_class(), order.group()});
  if (group == nullptr || group->epoch != order.epoch()) {
    return absl::AbortedError("the group is not at the order's epoch here");
  }
  if (ViewOf(*group, TargetId(order.target_id())).is_member()) {
    return absl::FailedPreconditionError("the target is a member of the group");
  }
  return absl::OkStatus();
}

absl::Status OrderWorker::DropGroup(const wire::DropGroup& order) {
  RETURN_IF_ERROR(CheckMayDrop(order));
  Target* const target = parts_.targets->Find(TargetId(order.target_id()));
  if (target == nullptr || !target->is_open()) {
    return absl::FailedPreconditionError("the target is not open here");
  }
  const auto map = parts_.map->Get();
  const auto count = static_cast<uint32_t>(map->FindClass(order.storage_class())->groups.size());
  std::optional<ChunkKey> last;
  for (bool more = true; more;) {
    std::vector<ChunkKey> found;
    RETURN_IF_ERROR(target->store->VisitGroup(order.group(), count, last,
                                              [&](const ChunkKey& key, const ChunkInfo&) {
                                                found.push_back(key);
                                                return found.size() < kBatch;
                                              }));
    more = found.size() == kBatch;
    if (more) last = found.back();
    for (const ChunkKey& key : found) {
      if (stop_.is_set()) return absl::CancelledError("stopping");
      ASSIGN_OR_RETURN(const ChunkLocks::Guard place,
                       parts_.locks->Lock(ChunkLockId{target->target_id(), key}, kChunkTimeout));
      // Under the place: a write of a newer epoch to this target comes after it.
      RETURN_IF_ERROR(CheckMayDrop(order));
      RETURN_IF_ERROR(target->store->Drop(key));
    }
  }
  // Done for good: nobody orders it again.
  return target->store->Barrier();
}

absl::Status OrderWorker::CutChunk(const wire::Layout& wire_layout, uint32_t index,
                                   uint32_t new_length) {
  const FileLayout layout = LayoutOf(wire_layout);
  const ChunkKey key = ChunkKeyOf(layout, index);
  const auto map = parts_.map->Get();
  const Group* group = map->GroupOf(layout.storage_class, key.position);
  if (group == nullptr || group->members.empty()) {
    return WithReason(absl::UnavailableError("no groups are known here yet"), Reason::kNoGroups);
  }
  Target* head = parts_.targets->Find(group->members.front().target);
  if (head == nullptr) return absl::OkStatus();  // another server's work
  if (!head->is_open()) return absl::UnavailableError("the head is absent");
  ChainJob job;
  job.target = head;
  job.storage_class = layout.storage_class;
  job.key = key;
  job.change.kind = new_length == 0 ? ChangeKind::kDelete : ChangeKind::kTruncate;
  job.change.offset = new_length;
  job.request.kind = job.change.kind;
  job.request.epoch = group->epoch;
  // Already short enough: a truncation would make it longer. What the head lacks, all lack.
  ASSIGN_OR_RETURN(const ChunkInfo info, head->store->Stat(key));
  if (!info.pending && (!info.exists() || (new_length > 0 && info.logical_length <= new_length))) {
    return absl::OkStatus();
  }
  parts_.chain->Run(absl::MakeSpan(&job, 1), absl::Now() + kChunkTimeout);
  return job.status;
}

absl::Status OrderWorker::TruncateContent(const wire::TruncateContent& order) {
  RETURN_IF_ERROR(CheckLayout(order.layout()));
  const uint64_t chunk_size = uint64_t{1} << order.layout().chunk_size_log2();
  const uint64_t boundary = order.new_size() / chunk_size;
  const uint64_t count = (order.old_size() + chunk_size - 1) / chunk_size;
  for (uint64_t index = boundary; index < count; ++index) {
    if (stop_.is_set()) return absl::CancelledError("stopping");
    const uint32_t keep =
        index == boundary ? static_cast<uint32_t>(order.new_size() % chunk_size) : 0;
    RETURN_IF_ERROR(
        Annotate(CutChunk(order.layout(), static_cast<uint32_t>(index), keep), "truncate content"));
  }
  return absl::OkStatus();
}

size_t OrderWorker::waiting() const {
  absl::MutexLock lock(&mu_);
  return deletions_.waiting.size() + truncations_.waiting.size();
}

}  // namespace penstock::chunkserver
