#include "chunkserver/sync/group_pass.h"

#include <absl/strings/str_cat.h>

#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr size_t kOwnPage = 2000;
// A forwarded write holds a chunk's place while it goes on to syncing members behind this one.
constexpr absl::Duration kPlaceTimeout = absl::Seconds(5);

// Errors that concern one chunk: the others can still be brought over.
bool IsOfOneChunk(const absl::Status& status) {
  return absl::IsDataLoss(status) || (absl::IsAborted(status) && ReasonOf(status) == Reason::kNone);
}

}  // namespace

GroupPass::GroupPass(const Parts& parts, Subject subject)
    : parts_(parts),
      subject_(std::move(subject)),
      pass_(PassOf(subject_.group, subject_.target->target_id())) {}

absl::StatusOr<PagedCursor<GroupPass::OwnState>::Page> GroupPass::ListOwn(
    const std::optional<ChunkKey>& after) {
  PagedCursor<OwnState>::Page page;
  RETURN_IF_ERROR(CheckGoesOn());
  RETURN_IF_ERROR(
      subject_.target->store->VisitGroup(subject_.group.id.number, subject_.group_count, after,
                                         [&](const ChunkKey& key, const ChunkInfo& info) {
                                           page.items.push_back({key, info});
                                           page.more = page.items.size() == kOwnPage;
                                           return !page.more;
                                         }));
  return page;
}

absl::Status GroupPass::CheckGoesOn() const {
  if (parts_.stop->is_set()) return absl::CancelledError("stopping");
  const auto map = parts_.map->Get();
  const Group* group = map->FindGroup(subject_.group.id);
  if (group == nullptr || group->epoch != subject_.group.epoch) {
    return WithReason(absl::AbortedError("the group has another epoch"), Reason::kStaleEpoch);
  }
  return absl::OkStatus();
}

absl::Status GroupPass::Run(TargetId source_target) {
  const auto map = parts_.map->Get();
  const wire::MapServer* server = map->ServerOf(source_target);
  if (server == nullptr) return absl::UnavailableError("the map lacks the source's server");
  SyncSource source(parts_.peers,
                    {*server, subject_.group.id, subject_.group_count, subject_.group.epoch,
                     source_target, subject_.target->target_id()},
                    parts_.interrupt);
  if (pass_.role == SyncRole::kFollow) {
    ASSIGN_OR_RETURN(unknown_below_, source.UnknownBelow());
  }
  PagedCursor<ListedState> theirs(
      [&](const std::optional<ChunkKey>& after) { return source.List(after); });
  PagedCursor<OwnState> ours([&](const std::optional<ChunkKey>& after) { return ListOwn(after); });
  while (true) {
    ASSIGN_OR_RETURN(const ListedState* listed, theirs.Peek());
    ASSIGN_OR_RETURN(const OwnState* own, ours.Peek());
    if (listed == nullptr && own == nullptr) return absl::OkStatus();
    if (listed != nullptr && own != nullptr) {
      if (InStoreOrder(listed->key, own->key)) {
        own = nullptr;
      } else if (InStoreOrder(own->key, listed->key)) {
        listed = nullptr;
      }
    }
    absl::Status status = Compare(source, own, listed);
    if (!status.ok()) {
      if (!IsOfOneChunk(status)) return status;
      ++left_;
      left_because_.Update(status);
    }
    if (own != nullptr) ours.Advance();
    if (listed != nullptr) theirs.Advance();
  }
}

absl::Status GroupPass::Compare(SyncSource& source, const OwnState* own,
                                const ListedState* listed) {
  static const ChunkInfo kAbsentHere;
  static const ListedState kAbsentThere;
  const ListedState& there = listed == nullptr ? kAbsentThere : *listed;
  const SyncDecision decision =
      DecideSync(pass_, own == nullptr ? kAbsentHere : own->info, there.state);
  subject_.counters->chunks_done.fetch_add(1, std::memory_order_relaxed);
  if (decision.action == SyncAction::kNothing) {
    if (decision.again) ++left_;
    return absl::OkStatus();
  }
  // Before the place is taken: nobody waits for a rate while others wait for the chunk.
  if (decision.action == SyncAction::kTake &&
      !parts_.rate->Wait(there.logical_length, *parts_.stop)) {
    return absl::CancelledError("stopping");
  }
  return Examine(source, own == nullptr ? there.key : own->key);
}

absl::Status GroupPass::Examine(SyncSource& source, const ChunkKey& key) {
  RETURN_IF_ERROR(CheckGoesOn());
  ASSIGN_OR_RETURN(
      const ChunkLocks::Guard place,
      parts_.locks->Lock(ChunkLockId{subject_.target->target_id(), key}, kPlaceTimeout));
  ASSIGN_OR_RETURN(const ChunkInfo own, subject_.target->store->Stat(key));
  ASSIGN_OR_RETURN(const FetchedChunk fetched, source.Fetch(key));
  const SyncDecision decision = DecideSync(pass_, own, fetched.state);
  RETURN_IF_ERROR(CarryOut(decision, key, own, fetched));
  if (decision.again) ++left_;
  return absl::OkStatus();
}

absl::Status GroupPass::CarryOut(const SyncDecision& decision, const ChunkKey& key,
                                 const ChunkInfo& own, const FetchedChunk& fetched) {
  ChunkStore& store = *subject_.target->store;
  switch (decision.action) {
    case SyncAction::kNothing:
      return absl::OkStatus();
    case SyncAction::kDiscard:
      return store.Discard(key, *own.pending);
    case SyncAction::kDrop:
      subject_.target->memory.Forget(key, pass_.epoch);
      return store.Drop(key);
    case SyncAction::kTake:
      // The source has not been told yet.
      if (subject_.target->memory.IsDead(key.content)) return absl::OkStatus();
      // Own versions continue above it when this member is the head one day.
      RETURN_IF_ERROR(store.RaiseSequence(fetched.content.version.sequence));
      subject_.target->memory.Forget(key, pass_.epoch);
      RETURN_IF_ERROR(store.Adopt(key, fetched.content));
      subject_.counters->bytes_fetched.fetch_add(fetched.content.data.size(),
                                                 std::memory_order_relaxed);
      return absl::OkStatus();
  }
  return absl::InternalError("no such action");
}

absl::Status GroupPass::DiscardPending() {
  PagedCursor<OwnState> ours([&](const std::optional<ChunkKey>& after) { return ListOwn(after); });
  while (true) {
    ASSIGN_OR_RETURN(const OwnState* own, ours.Peek());
    if (own == nullptr) return absl::OkStatus();
    if (own->info.pending) RETURN_IF_ERROR(Discard(own->key));
    ours.Advance();
  }
}

absl::Status GroupPass::Discard(const ChunkKey& key) {
  ASSIGN_OR_RETURN(
      const ChunkLocks::Guard place,
      parts_.locks->Lock(ChunkLockId{subject_.target->target_id(), key}, kPlaceTimeout));
  ASSIGN_OR_RETURN(const ChunkInfo own, subject_.target->store->Stat(key));
  if (!own.pending) return absl::OkStatus();
  return subject_.target->store->Discard(key, *own.pending);
}

}  // namespace penstock::chunkserver
