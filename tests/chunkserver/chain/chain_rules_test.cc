#include "chunkserver/chain/chain_rules.h"

#include <catch2/catch.hpp>

#include <cerrno>

#include "common/status.h"

namespace penstock::chunkserver {
namespace {

const WriteStamp kStamp{SessionId(5), 1, 10};

Group GroupOfThree() {
  Group group;
  group.epoch = 4;
  for (uint32_t target : {1, 2, 3}) {
    group.members.push_back({TargetId(target), wire::MEMBER_IN_SYNC});
  }
  return group;
}
MemberView ViewAt(int position) { return ViewOf(GroupOfThree(), TargetId(position + 1)); }

ChunkState StateAt(ChunkVersion committed) {
  ChunkState state;
  state.info.committed = committed;
  return state;
}

ChainRequest FromClient() {
  ChainRequest request;
  request.stamp = kStamp;
  request.epoch = 4;
  return request;
}
ChainRequest FromPredecessor(ChunkVersion version, ChunkVersion base, uint32_t hop = 1) {
  ChainRequest request = FromClient();
  request.hop = hop;
  request.version = version;
  request.base = base;
  return request;
}

TEST_CASE("a view knows head, tail, successor and the last in-sync member", "[chain][rules]") {
  Group group = GroupOfThree();
  REQUIRE(ViewOf(group, TargetId(1)).is_head());
  REQUIRE(ViewOf(group, TargetId(1)).successor == TargetId(2));
  REQUIRE(ViewOf(group, TargetId(3)).is_tail());
  REQUIRE(ViewOf(group, TargetId(3)).last_in_sync);
  REQUIRE(!ViewOf(group, TargetId(9)).is_member());
  group.members[2].state = wire::MEMBER_SYNCING;
  REQUIRE(ViewOf(group, TargetId(2)).last_in_sync);
  REQUIRE(!ViewOf(group, TargetId(2)).is_tail());
  REQUIRE(!ViewOf(group, TargetId(3)).in_sync);
}

TEST_CASE("a request of another epoch is refused by the side that knows", "[chain][rules]") {
  ChainRequest request = FromClient();
  request.epoch = 3;
  auto decision = DecideWrite(ViewAt(0), {}, request);
  REQUIRE(decision.action == WriteAction::kRefuse);
  REQUIRE(ReasonOf(decision.refusal) == Reason::kStaleEpoch);
  request.epoch = 5;
  decision = DecideWrite(ViewAt(0), {}, request);
  REQUIRE(ReasonOf(decision.refusal) == Reason::kNewerEpoch);
  REQUIRE(IsRetryable(decision.refusal));
}

TEST_CASE("a write at the wrong place of the chain is refused", "[chain][rules]") {
  auto decision = DecideWrite(ViewAt(1), {}, FromClient());
  REQUIRE(decision.action == WriteAction::kRefuse);
  REQUIRE(ReasonOf(decision.refusal) == Reason::kNotMember);
  decision = DecideWrite(ViewOf(GroupOfThree(), TargetId(9)), {}, FromClient());
  REQUIRE(ReasonOf(decision.refusal) == Reason::kNotMember);
}

TEST_CASE("the head stages a fresh write on what it has committed", "[chain][rules]") {
  const auto decision = DecideWrite(ViewAt(0), StateAt({3, 7}), FromClient());
  REQUIRE(decision.action == WriteAction::kStage);
  REQUIRE(!decision.version.valid());  // the head takes a new one
  REQUIRE(decision.base == ChunkVersion{3, 7});
}

TEST_CASE("a repeat of a committed write gets its first answer", "[chain][rules]") {
  ChunkState state = StateAt({4, 9});
  state.info.channels = {{kStamp, {4, 8}}, {{SessionId(6), 1, 1}, {4, 9}}};
  const auto decision = DecideWrite(ViewAt(0), state, FromClient());
  REQUIRE(decision.action == WriteAction::kAnswer);
  REQUIRE(decision.version == ChunkVersion{4, 8});
}

TEST_CASE("a repeat of a pending write finishes it", "[chain][rules]") {
  ChunkState state = StateAt({4, 7});
  state.info.pending = ChunkVersion{4, 8};
  state.info.channels = {{kStamp, {4, 8}}};
  const auto decision = DecideWrite(ViewAt(0), state, FromClient());
  REQUIRE(decision.action == WriteAction::kFinish);
  REQUIRE(decision.version == ChunkVersion{4, 8});
}

TEST_CASE("an older write of a channel is refused, also after the chunk was deleted",
          "[chain][rules]") {
  ChunkState state;
  state.remembered = {{{kStamp.session, kStamp.channel, 11}, {4, 8}}};
  const auto decision = DecideWrite(ViewAt(0), state, FromClient());
  REQUIRE(decision.action == WriteAction::kRefuse);
  REQUIRE(ReasonOf(decision.refusal) == Reason::kOldSequence);
  REQUIRE(!IsRetryable(decision.refusal));
}

TEST_CASE("a write of a channel that a later one of its session has replaced is refused",
          "[chain][rules]") {
  ChunkState state = StateAt({4, 7});
  state.info.channels = {{{kStamp.session, kStamp.channel + 1, 1}, {4, 7}}};
  const auto decision = DecideWrite(ViewAt(0), state, FromClient());
  REQUIRE(decision.action == WriteAction::kRefuse);
  REQUIRE(ReasonOf(decision.refusal) == Reason::kOldSequence);
  // Channels of other sessions say nothing.
  state.info.channels = {{{SessionId(6), kStamp.channel + 1, 1}, {4, 7}}};
  REQUIRE(DecideWrite(ViewAt(0), state, FromClient()).action == WriteAction::kStage);
}

TEST_CASE("a discarded write is no repeat", "[chain][rules]") {
  ChunkState state = StateAt({4, 7});
  state.info.channels = {{kStamp, {4, 8}}};  // neither committed nor pending
  REQUIRE(DecideWrite(ViewAt(0), state, FromClient()).action == WriteAction::kStage);
}

TEST_CASE("the head settles another pending write first", "[chain][rules]") {
  ChunkState state = StateAt({4, 7});
  state.info.pending = ChunkVersion{4, 8};
  state.info.channels = {{{SessionId(6), 1, 1}, {4, 8}}};
  const auto decision = DecideWrite(ViewAt(0), state, FromClient());
  REQUIRE(decision.action == WriteAction::kSettle);
  REQUIRE(decision.version == ChunkVersion{4, 8});
}

TEST_CASE("deleting or cutting an absent chunk changes nothing", "[chain][rules]") {
  for (ChangeKind kind : {ChangeKind::kDelete, ChangeKind::kTruncate, ChangeKind::kZero}) {
    ChainRequest request = FromClient();
    request.kind = kind;
    const auto decision = DecideWrite(ViewAt(0), {}, request);
    REQUIRE(decision.action == WriteAction::kAnswer);
    REQUIRE(!decision.version.valid());
  }
}

TEST_CASE("a member behind the head stages what builds on its version", "[chain][rules]") {
  const auto decision = DecideWrite(ViewAt(1), StateAt({4, 7}), FromPredecessor({4, 8}, {4, 7}));
  REQUIRE(decision.action == WriteAction::kStage);
  REQUIRE(decision.version == ChunkVersion{4, 8});
}

TEST_CASE("a member that lacks the base says so, and takes a whole chunk", "[chain][rules]") {
  ChainRequest request = FromPredecessor({4, 9}, {4, 8});
  auto decision = DecideWrite(ViewAt(1), StateAt({4, 7}), request);
  REQUIRE(decision.action == WriteAction::kRefuse);
  REQUIRE(ReasonOf(decision.refusal) == Reason::kMissingBase);
  request.kind = ChangeKind::kReplace;
  REQUIRE(DecideWrite(ViewAt(1), StateAt({4, 7}), request).action == WriteAction::kStage);
}

TEST_CASE("a quarantined copy takes only a whole chunk from its predecessor", "[chain][rules]") {
  ChunkState state = StateAt({4, 7});
  state.info.quarantined = true;
  ChainRequest request = FromPredecessor({4, 8}, {4, 7});
  REQUIRE(ReasonOf(DecideWrite(ViewAt(2), state, FromPredecessor({4, 8}, {4, 7}, 2)).refusal) ==
          Reason::kMissingBase);
  request.kind = ChangeKind::kReplace;
  REQUIRE(DecideWrite(ViewAt(1), state, request).action == WriteAction::kStage);
}

TEST_CASE("a version that is there already is answered or finished", "[chain][rules]") {
  REQUIRE(DecideWrite(ViewAt(1), StateAt({4, 8}), FromPredecessor({4, 8}, {4, 7})).action ==
          WriteAction::kAnswer);
  ChunkState pending = StateAt({4, 7});
  pending.info.pending = ChunkVersion{4, 8};
  REQUIRE(DecideWrite(ViewAt(1), pending, FromPredecessor({4, 8}, {4, 7})).action ==
          WriteAction::kFinish);
}

TEST_CASE("an echo of an older version is refused for good", "[chain][rules]") {
  ChunkState state = StateAt({4, 9});
  auto decision = DecideWrite(ViewAt(1), state, FromPredecessor({4, 8}, {4, 7}));
  REQUIRE(ReasonOf(decision.refusal) == Reason::kOldSequence);
  REQUIRE(IsDefiniteRefusal(decision.refusal));
  // The chunk was deleted since: only the floor knows.
  state = ChunkState{};
  state.floor = {4, 9};
  decision = DecideWrite(ViewAt(1), state, FromPredecessor({4, 8}, {}));
  REQUIRE(ReasonOf(decision.refusal) == Reason::kOldSequence);
}

TEST_CASE(
    "a pending version that the predecessor committed is settled, one that it never had "
    "makes place for a whole chunk",
    "[chain][rules]") {
  ChunkState state = StateAt({4, 7});
  state.info.pending = ChunkVersion{4, 8};
  REQUIRE(DecideWrite(ViewAt(1), state, FromPredecessor({4, 9}, {4, 8})).action ==
          WriteAction::kSettle);
  ChainRequest request = FromPredecessor({4, 9}, {4, 7});
  REQUIRE(ReasonOf(DecideWrite(ViewAt(1), state, request).refusal) == Reason::kMissingBase);
  request.kind = ChangeKind::kReplace;
  REQUIRE(DecideWrite(ViewAt(1), state, request).action == WriteAction::kDiscard);
}

TEST_CASE("what a predecessor does with each answer", "[chain][rules]") {
  const ForwardHistory first{1, false, true};
  REQUIRE(DecideReply(absl::OkStatus(), first) == ReplyAction::kCommit);
  REQUIRE(DecideReply(absl::UnavailableError("gone"), first) == ReplyAction::kRetry);
  REQUIRE(DecideReply(absl::UnavailableError("gone"), {kMaxSends, false, true}) ==
          ReplyAction::kFail);
  REQUIRE(DecideReply(absl::DeadlineExceededError("late"), first) == ReplyAction::kFail);
  const auto missing = WithReason(absl::FailedPreconditionError("base"), Reason::kMissingBase);
  REQUIRE(DecideReply(missing, first) == ReplyAction::kReplace);
  REQUIRE(DecideReply(PosixError(ENOSPC, "full"), first) == ReplyAction::kDiscard);
  REQUIRE(DecideReply(PosixError(ENOSPC, "full"), {1, true, false}) == ReplyAction::kFail);
  REQUIRE(DecideReply(PosixError(EIO, "disk"), first) == ReplyAction::kFail);
  const auto stale = WithReason(absl::AbortedError("epoch"), Reason::kStaleEpoch);
  REQUIRE(DecideReply(stale, first) == ReplyAction::kFail);
}

TEST_CASE("an indefinite error promises nothing", "[chain][rules]") {
  REQUIRE(!IsDefiniteRefusal(Indefinite(PosixError(ENOSPC, "full"))));
  REQUIRE(!IsDefiniteRefusal(
      Indefinite(WithReason(absl::FailedPreconditionError("base"), Reason::kMissingBase))));
  REQUIRE(ReasonOf(Indefinite(WithReason(absl::AbortedError("e"), Reason::kStaleEpoch))) ==
          Reason::kStaleEpoch);
}

TEST_CASE("any in-sync member serves a chunk with nothing pending", "[chain][rules]") {
  for (int position : {0, 1, 2}) {
    REQUIRE(DecideRead(ViewAt(position), StateAt({4, 7}).info).action == ReadAction::kServe);
  }
  Group group = GroupOfThree();
  group.members[2].state = wire::MEMBER_SYNCING;
  const auto decision = DecideRead(ViewOf(group, TargetId(3)), StateAt({4, 7}).info);
  REQUIRE(ReasonOf(decision.refusal) == Reason::kNotMember);
}

TEST_CASE("a pending version sends readers to the tail", "[chain][rules]") {
  ChunkInfo info = StateAt({4, 7}).info;
  info.pending = ChunkVersion{4, 8};
  REQUIRE(ReasonOf(DecideRead(ViewAt(0), info).refusal) == Reason::kPendingVersion);
  REQUIRE(DecideRead(ViewAt(2), info).action == ReadAction::kServe);
}

TEST_CASE("a member that became tail settles what it has pending before it serves",
          "[chain][rules]") {
  ChunkInfo info = StateAt({3, 7}).info;
  info.pending = ChunkVersion{3, 8};  // the tail of epoch 3 may have served it
  REQUIRE(DecideRead(ViewAt(2), info).action == ReadAction::kSettle);
}

TEST_CASE("a quarantined chunk is refused, not absent", "[chain][rules]") {
  ChunkInfo info = StateAt({4, 7}).info;
  info.quarantined = true;
  REQUIRE(absl::IsDataLoss(DecideRead(ViewAt(0), info).refusal));
}

}  // namespace
}  // namespace penstock::chunkserver
