#include "chunkserver/chain/chain_rules.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cerrno>

#include "common/status.h"

namespace penstock::chunkserver {
namespace {

absl::Status Aborted(Reason reason, absl::string_view message) {
  return WithReason(absl::AbortedError(message), reason);
}

WriteDecision Refuse(absl::Status status) {
  return {WriteAction::kRefuse, {}, {}, std::move(status)};
}
WriteDecision Answer(ChunkVersion version) { return {WriteAction::kAnswer, version, {}, {}}; }
WriteDecision Settle(ChunkVersion pending) { return {WriteAction::kSettle, pending, {}, {}}; }
WriteDecision Finish(ChunkVersion pending, ChunkVersion base) {
  return {WriteAction::kFinish, pending, base, {}};
}
WriteDecision Stage(ChunkVersion version, ChunkVersion base) {
  return {WriteAction::kStage, version, base, {}};
}

bool BringsWholeChunk(ChangeKind kind) {
  return kind == ChangeKind::kReplace || kind == ChangeKind::kDelete;
}

// A change that leaves an absent chunk absent.
bool ChangesNothingOfAbsent(ChangeKind kind) {
  return kind == ChangeKind::kDelete || kind == ChangeKind::kTruncate || kind == ChangeKind::kZero;
}

// The newest record of the stamp's channel; nullptr: never heard of.
const ChannelRecord* FindChannel(const ChunkState& state, const WriteStamp& stamp) {
  const ChannelRecord* newest = nullptr;
  const auto consider = [&](const ChannelRecord& record) {
    if (record.stamp.session != stamp.session || record.stamp.channel != stamp.channel) return;
    if (newest == nullptr || record.stamp.sequence > newest->stamp.sequence) newest = &record;
  };
  for (const ChannelRecord& record : state.info.channels) {
    // What was discarded never happened.
    if (record.version <= state.info.committed || record.version == state.info.pending) {
      consider(record);
    }
  }
  for (const ChannelRecord& record : state.remembered) consider(record);
  return newest;
}

// A channel that was opened after the stamp's by the same session: its client died, and the next
// one goes on with the session. What the dead one had sent comes too late then.
bool HasNewerChannel(const ChunkState& state, const WriteStamp& stamp) {
  const auto newer = [&](const ChannelRecord& record) {
    return record.stamp.session == stamp.session && record.stamp.channel > stamp.channel;
  };
  return std::any_of(state.info.channels.begin(), state.info.channels.end(), newer) ||
         std::any_of(state.remembered.begin(), state.remembered.end(), newer);
}

WriteDecision DecideAtHead(const ChunkState& state, const ChainRequest& request) {
  const ChunkInfo& info = state.info;
  if (request.stamp.session.valid()) {
    const ChannelRecord* last = FindChannel(state, request.stamp);
    if (HasNewerChannel(state, request.stamp)) {
      return Refuse(WithReason(
          absl::FailedPreconditionError("a write of a channel that a later one has replaced"),
          Reason::kOldSequence));
    }
    if (last != nullptr && last->stamp.sequence > request.stamp.sequence) {
      return Refuse(WithReason(
          absl::FailedPreconditionError(absl::StrCat(
              "write ", request.stamp.sequence, " of a channel that is at ", last->stamp.sequence)),
          Reason::kOldSequence));
    }
    if (last != nullptr && last->stamp.sequence == request.stamp.sequence) {
      if (info.pending && *info.pending == last->version) {
        return Finish(last->version, info.committed);
      }
      return Answer(last->version);
    }
  }
  if (info.pending) return Settle(*info.pending);
  if (!info.exists() && ChangesNothingOfAbsent(request.kind)) return Answer(ChunkVersion{});
  return Stage(ChunkVersion{}, info.committed);
}

WriteDecision NotSyncedYet() {
  return Refuse(absl::AbortedError("this member does not have its predecessors' state yet"));
}

WriteDecision Stale(const ChainRequest& request, ChunkVersion newer) {
  return Refuse(Aborted(Reason::kOldSequence, absl::StrCat("version ", ToString(request.version),
                                                           " comes after ", ToString(newer))));
}

// A member that syncs may have what its predecessors have lost (a power cut of all that were in
// sync): its own past, until it is synced, is no reason to refuse for good.
bool IsLeftover(const MemberView& view, ChunkVersion version) {
  return !view.in_sync && version.epoch < view.epoch;
}

WriteDecision DecideBehindHead(const MemberView& view, const ChunkState& state,
                               const ChainRequest& request) {
  const ChunkInfo& info = state.info;
  const ChunkVersion v = request.version;
  if (!v.valid()) return Refuse(absl::InvalidArgumentError("a forwarded write without a version"));
  if (info.committed == v) return Answer(v);
  // A deletion leaves no record; being asked for it again, all is as it should be. A syncing member
  // may never have had the chunk: its successors may, and must hear of the deletion.
  if (!info.exists() && !info.pending && request.kind == ChangeKind::kDelete &&
      (view.in_sync || view.is_tail() || state.floor >= v)) {
    return Answer(v);
  }
  if (info.committed > v) {
    if (IsLeftover(view, info.committed)) return NotSyncedYet();
    return Stale(request, info.committed);
  }
  if (state.floor >= v) return Stale(request, state.floor);
  if (info.pending) {
    if (*info.pending == v) return Finish(v, info.committed);
    if (*info.pending > v) {
      // The predecessor sends it again, if it is still to be.
      if (IsLeftover(view, *info.pending)) {
        return {WriteAction::kDiscard, *info.pending, {}, {}};
      }
      return Stale(request, *info.pending);
    }
    // The predecessor has committed what is pending here: so it is to stay.
    if (request.base == *info.pending) return Settle(*info.pending);
    // It knows nothing of what is pending here, so nobody was told that it is done.
    if (BringsWholeChunk(request.kind)) return {WriteAction::kDiscard, *info.pending, {}, {}};
  } else if (BringsWholeChunk(request.kind)) {
    return Stage(v, request.base);
  }
  if (info.pending || info.committed != request.base || info.quarantined) {
    return Refuse(
        WithReason(absl::FailedPreconditionError(absl::StrCat("has ", ToString(info.committed),
                                                              ", not ", ToString(request.base))),
                   Reason::kMissingBase));
  }
  return Stage(v, request.base);
}

}  // namespace

MemberView ViewOf(const Group& group, TargetId me) {
  MemberView view;
  view.group = group.id;
  view.epoch = group.epoch;
  view.member_count = static_cast<int>(group.members.size());
  int last_in_sync = -1;
  for (int i = 0; i < view.member_count; ++i) {
    const GroupMember& member = group.members[i];
    if (member.state == wire::MEMBER_IN_SYNC) last_in_sync = i;
    if (member.target != me) continue;
    view.position = i;
    view.in_sync = member.state == wire::MEMBER_IN_SYNC;
    if (i + 1 == view.member_count) continue;
    view.successor = group.members[i + 1].target;
    view.successor_in_sync = group.members[i + 1].state == wire::MEMBER_IN_SYNC;
  }
  view.last_in_sync = view.position >= 0 && view.position == last_in_sync;
  view.reconciling = group.reconciling > 0;
  return view;
}

absl::Status CheckEpoch(const MemberView& view, uint32_t epoch) {
  if (epoch < view.epoch) {
    return Aborted(Reason::kStaleEpoch,
                   absl::StrCat("group ", view.group.number, " is at epoch ", view.epoch));
  }
  if (epoch > view.epoch) {
    return Aborted(Reason::kNewerEpoch, absl::StrCat("this server knows epoch ", view.epoch,
                                                     " of group ", view.group.number));
  }
  if (!view.is_member()) {
    return WithReason(
        absl::FailedPreconditionError(absl::StrCat("no member of group ", view.group.number)),
        Reason::kNotMember);
  }
  return absl::OkStatus();
}

WriteDecision DecideWrite(const MemberView& view, const ChunkState& state,
                          const ChainRequest& request) {
  if (absl::Status status = CheckEpoch(view, request.epoch); !status.ok()) return Refuse(status);
  if (request.hop != static_cast<uint32_t>(view.position)) {
    return Refuse(WithReason(absl::FailedPreconditionError(absl::StrCat(
                                 "hop ", request.hop, " came to position ", view.position)),
                             Reason::kNotMember));
  }
  if (view.reconciling) {
    return Refuse(absl::UnavailableError("the group's members exchange what they have"));
  }
  if (state.dead) {
    // Behind the head: for good, so that the predecessor forgets what it has pending.
    const auto reason = view.is_head() ? Reason::kContentChanged : Reason::kOldSequence;
    return Refuse(
        WithReason(absl::FailedPreconditionError("the chunk's content was deleted"), reason));
  }
  if (request.settle_only) {
    // What a syncing member has pending may be a leftover that nobody else knows.
    if (!view.in_sync) return NotSyncedYet();
    return state.info.pending ? Settle(*state.info.pending) : Answer(state.info.committed);
  }
  return view.is_head() ? DecideAtHead(state, request) : DecideBehindHead(view, state, request);
}

bool IsDefiniteRefusal(const absl::Status& status) {
  const Reason reason = ReasonOf(status);
  if (reason == Reason::kMissingBase || reason == Reason::kOldSequence) return true;
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

absl::Status Indefinite(absl::Status status) {
  const Reason reason = ReasonOf(status);
  if (reason == Reason::kMissingBase || reason == Reason::kOldSequence ||
      reason == Reason::kNotMember) {
    return absl::AbortedError(status.message());
  }
  if (status.ok() || !IsDefiniteRefusal(status)) return status;
  return PosixError(EIO, std::string(status.message()));
}

ReplyAction DecideReply(const absl::Status& reply, const ForwardHistory& history) {
  if (reply.ok()) return ReplyAction::kCommit;
  if (ReasonOf(reply) == Reason::kMissingBase && !history.whole) return ReplyAction::kReplace;
  if (IsDefiniteRefusal(reply)) {
    return history.may_discard ? ReplyAction::kDiscard : ReplyAction::kFail;
  }
  if (absl::IsUnavailable(reply) && ReasonOf(reply) == Reason::kNone && history.sends < kMaxSends) {
    return ReplyAction::kRetry;
  }
  return ReplyAction::kFail;
}

ReadDecision DecideRead(const MemberView& view, const ChunkInfo& info) {
  if (!view.in_sync) {
    return {ReadAction::kRefuse,
            WithReason(absl::FailedPreconditionError("not an in-sync member of the group"),
                       Reason::kNotMember)};
  }
  if (info.pending && !view.last_in_sync) {
    return {ReadAction::kRefuse,
            Aborted(Reason::kPendingVersion,
                    absl::StrCat("version ", ToString(*info.pending), " is pending"))};
  }
  // A member that stood behind in an earlier epoch may have served it already; so may a syncing one
  // that stands behind now and is in sync in an epoch of which we have not heard yet.
  if (info.pending && (info.pending->epoch < view.epoch || !view.is_tail())) {
    return {ReadAction::kSettle, {}};
  }
  if (info.quarantined) {
    return {ReadAction::kRefuse, absl::DataLossError("the chunk is quarantined")};
  }
  return {ReadAction::kServe, {}};
}

}  // namespace penstock::chunkserver
