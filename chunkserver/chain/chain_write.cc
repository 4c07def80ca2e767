#include "chunkserver/chain/chain_write.h"

#include <algorithm>
#include <vector>

#include "common/status.h"

namespace penstock::chunkserver {
namespace {

// A look more than this often in one write means that members disagree for good.
constexpr int kMaxLooks = 6;

}  // namespace

ChainWrite::ChainWrite(const ChunkKey& key, ChainRequest request, ChunkMemory* memory)
    : key_(key), request_(std::move(request)), memory_(memory) {}

ChainStep ChainWrite::Look() {
  if (++looks_ > kMaxLooks) return Done(absl::AbortedError("the chunk does not come to rest"));
  return ChainStep{};
}

ChainStep ChainWrite::Done(absl::Status status, ChunkVersion version) {
  return ChainStep{ChainStep::Kind::kDone, version, {}, false, std::move(status)};
}

ChainStep ChainWrite::Refuse(absl::Status status) {
  if (!at_head() && must_take() && ReasonOf(status) != Reason::kMissingBase) {
    return Done(Indefinite(std::move(status)));
  }
  // Not for a missing base: the same version will come again as a whole chunk.
  if (!at_head() && IsDefiniteRefusal(status) && ReasonOf(status) != Reason::kMissingBase) {
    memory_->Remember(key_, request_.version, {}, view_.epoch);
  }
  return Done(std::move(status));
}

ChainStep ChainWrite::OnLook(const MemberView& view, const ChunkInfo& info) {
  view_ = view;
  info_ = info;
  ChunkMemory::Entry remembered = memory_->Recall(key_);
  // Copies from before this epoch are refused for their epoch. What was refused then, and kept by
  // the predecessor, may come again now.
  floor_ = remembered.floor_epoch == view.epoch ? remembered.floor : ChunkVersion{};
  WriteDecision decision = DecideWrite(
      view, ChunkState{info, floor_, std::move(remembered.channels), remembered.dead}, request_);
  subject_ = decision.version;
  base_ = decision.base;
  history_ = ForwardHistory{};
  history_.sends = 0;
  settling_ = decision.action == WriteAction::kSettle;
  subject_deletes_ = info.pending.has_value() && info.pending_deletes;
  history_.may_discard = at_head() || !settling_;
  switch (decision.action) {
    case WriteAction::kRefuse:
      return Refuse(std::move(decision.refusal));
    case WriteAction::kAnswer:
      // Nothing was changed and nothing was stored: an echo must not do it later.
      if (at_head() && !decision.version.valid() && request_.stamp.session.valid()) {
        memory_->Remember(key_, {}, {{ChannelRecord{request_.stamp, {}}}});
      }
      return Done(absl::OkStatus(), decision.version);
    case WriteAction::kStage:
      subject_deletes_ = request_.kind == ChangeKind::kDelete;
      return ChainStep{ChainStep::Kind::kStage, decision.version, base_, false, {}};
    case WriteAction::kFinish:
    case WriteAction::kSettle:
      // Whole, from our own bytes: a repeat with other bytes must not make members differ.
      return Proceed(/*whole=*/true);
    case WriteAction::kDiscard:
      return ChainStep{ChainStep::Kind::kDiscard, decision.version, {}, false, {}};
  }
  return Done(absl::InternalError("no such action"));
}

ChainStep ChainWrite::OnStaged(const MemberView& view, ChunkVersion version,
                               const absl::Status& status) {
  if (!status.ok()) {
    // It may have been deleted here and behind already, and only the memory of that be lost.
    const bool perhaps_done = request_.kind == ChangeKind::kDelete && !info_.exists();
    if (!at_head() && perhaps_done) return Done(Indefinite(status));
    if (!at_head() && IsDefiniteRefusal(status)) return Refuse(status);
    return Done(status);
  }
  subject_ = version;
  // It stays pending; under the new epoch others may have to have it, too.
  if (view.epoch != view_.epoch) return Done(CheckEpoch(view, request_.epoch));
  return Proceed(/*whole=*/false);
}

ChainStep ChainWrite::Proceed(bool whole) {
  history_.whole = whole;
  if (view_.is_tail()) return ChainStep{ChainStep::Kind::kCommit, subject_, {}, false, {}};
  return Forward();
}

ChainStep ChainWrite::Forward() {
  ++history_.sends;
  return ChainStep{ChainStep::Kind::kForward, subject_, base_, history_.whole, {}};
}

ChainStep ChainWrite::OnReply(const MemberView& view, const absl::Status& reply) {
  ForwardHistory history = history_;
  if (!settling_ &&
      (request_.kind == ChangeKind::kReplace || request_.kind == ChangeKind::kDelete)) {
    history.whole = true;
  }
  // A syncing member may well never have had a version of an earlier epoch, which one that stood
  // behind us then may have shown to readers.
  if (subject_.epoch < view_.epoch && !view_.successor_in_sync) history.may_discard = false;
  switch (DecideReply(reply, history)) {
    case ReplyAction::kCommit:
      if (view.epoch == view_.epoch) {
        return ChainStep{ChainStep::Kind::kCommit, subject_, {}, false, {}};
      }
      // Under the new epoch others may have to have it, too. It stays pending; the sender asks
      // again.
      return Done(CheckEpoch(view, request_.epoch));
    case ReplyAction::kRetry:
      return Forward();
    case ReplyAction::kReplace:
      history_.whole = true;
      return Forward();
    case ReplyAction::kDiscard:
      error_ = reply;
      return ChainStep{ChainStep::Kind::kDiscard, subject_, {}, false, {}};
    case ReplyAction::kFail:
      return Done(Indefinite(reply));
  }
  return Done(absl::InternalError("no such action"));
}

ChainStep ChainWrite::OnCommitted(const absl::Status& status) {
  if (!status.ok()) return Done(Indefinite(status));
  if (subject_deletes_) RememberDeletion();
  if (settling_) return Look();
  return Done(absl::OkStatus(), subject_);
}

ChainStep ChainWrite::OnDiscarded(const absl::Status& status) {
  if (!status.ok()) return Done(Indefinite(status));
  if (error_.ok() || settling_) {
    error_ = absl::OkStatus();
    return Look();
  }
  if (!at_head()) return Refuse(error_);
  // To a client, a version that was refused for good is no answer: its write may be tried again.
  const Reason reason = ReasonOf(error_);
  if (reason == Reason::kOldSequence || reason == Reason::kMissingBase) {
    return Done(absl::AbortedError(error_.message()));
  }
  return Done(error_);
}

void ChainWrite::RememberDeletion() {
  std::vector<ChannelRecord> channels = info_.channels;
  if (!settling_) channels.push_back(ChannelRecord{request_.stamp, subject_});
  memory_->Remember(key_, subject_, channels, view_.epoch);
}

uint64_t ChainWrite::sequence_floor() const {
  uint64_t floor = 0;
  for (const ChunkVersion& version :
       {info_.committed, info_.pending.value_or(ChunkVersion{}), floor_}) {
    if (version.epoch >= view_.epoch) floor = std::max(floor, version.sequence);
  }
  return floor;
}

}  // namespace penstock::chunkserver
