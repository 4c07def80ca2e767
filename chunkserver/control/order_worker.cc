#include "chunkserver/control/order_worker.h"

#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "chunkserver/chain/chain_rules.h"
#include "common/logging.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr size_t kMaxWaiting = 10'000;  // of each kind; more come again
constexpr size_t kOrdersOfOneBarrier = 64;
constexpr absl::Duration kBarrierAfter = absl::Seconds(1);  // at the latest
constexpr absl::Duration kLogFailuresEvery = absl::Seconds(30);

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
    if (done_.contains(order.order_id()) || lane.running.contains(order.order_id())) continue;
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
    std::vector<uint64_t> done;
    const absl::Time until = absl::Now() + kBarrierAfter;
    std::optional<wire::Order> order = Next(which);
    if (!order) {
      stop_.Wait(absl::Milliseconds(100));
      continue;
    }
    for (size_t taken = 1; order; ++taken) {
      const absl::Status status = Execute(*order);
      if (status.ok()) done.push_back(order->order_id());
      if (!status.ok() && !stop_.is_set()) Failed(*order, status);
      if (stop_.is_set() || taken == kOrdersOfOneBarrier || absl::Now() > until) break;
      order = Next(which);
    }
    // A truncation is durable on every member when it is done.
    const bool barrier = which == &OrderWorker::deletions_ && !done.empty();
    const absl::Status durable = barrier ? MakeDurable() : absl::OkStatus();
    if (!durable.ok()) Failed(wire::Order(), durable);
    absl::MutexLock lock(&mu_);
    (this->*which).running.clear();
    if (durable.ok()) done_.insert(done.begin(), done.end());
  }
}

std::optional<wire::Order> OrderWorker::Next(Lane OrderWorker::*which) {
  absl::MutexLock lock(&mu_);
  Lane& lane = this->*which;
  if (lane.waiting.empty()) return std::nullopt;
  const auto first = lane.waiting.begin();
  lane.running.insert(first->first);
  wire::Order order = std::move(first->second);
  lane.waiting.erase(first);
  return order;
}

absl::Status OrderWorker::MakeDurable() {
  absl::Status first_error;
  for (const auto& target : parts_.targets->all()) {
    if (!target->is_open() || target->removed) continue;
    first_error.Update(Annotate(target->store->Barrier(),
                                absl::StrCat("make the orders' work durable on ", target->path)));
  }
  return first_error;
}

// A failing disk fails every order, again and again: one line now and then says it. What must wait
// for the group is no failure.
void OrderWorker::Failed(const wire::Order& order, const absl::Status& status) {
  if (absl::IsAborted(status)) return;
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
                                                return found.size() < kChunksOfOneLook;
                                              }));
    more = found.size() == kChunksOfOneLook;
    if (more) last = found.back();
    for (const ChunkKey& key : found) {
      if (stop_.is_set()) return absl::CancelledError("stopping");
      ASSIGN_OR_RETURN(
          const ChunkLocks::Guard place,
          parts_.locks->Lock(ChunkLockId{target->target_id(), key}, kChunkOrderTimeout));
      // Under the place: a write of a newer epoch to this target comes after it.
      RETURN_IF_ERROR(CheckMayDrop(order));
      RETURN_IF_ERROR(target->store->Drop(key));
    }
  }
  return absl::OkStatus();
}

size_t OrderWorker::waiting() const {
  absl::MutexLock lock(&mu_);
  return deletions_.waiting.size() + truncations_.waiting.size();
}

}  // namespace penstock::chunkserver
