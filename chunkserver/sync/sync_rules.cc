#include "chunkserver/sync/sync_rules.h"

#include <absl/strings/str_cat.h>

#include <tuple>

#include "chunkserver/chain/chain_rules.h"
#include "common/placement.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

SyncDecision Do(SyncAction action, bool again = false) { return {action, again}; }

// The leader takes what is newer elsewhere, and what is sound where its own is not. What is pending
// is no answer to anybody: it goes when all have been asked.
SyncDecision DecideToLead(const ChunkInfo& own, const SourceChunk& source) {
  const bool better = source.version > own.committed ||
                      (own.quarantined && source.version == own.committed && !source.quarantined);
  if (!better) return Do(SyncAction::kNothing);
  if (source.quarantined) return Do(SyncAction::kNothing, /*again=*/true);
  return Do(SyncAction::kTake);
}

}  // namespace

SyncRole RoleOf(const Group& group, TargetId me) {
  const MemberView view = ViewOf(group, me);
  if (!view.is_member() || view.in_sync) return SyncRole::kNone;
  return view.reconciling && view.is_head() ? SyncRole::kLead : SyncRole::kFollow;
}

std::vector<TargetId> SourcesOf(const Group& group, TargetId me) {
  std::vector<TargetId> sources;
  if (group.reconciling == 0) {
    for (auto it = group.members.rbegin(); it != group.members.rend(); ++it) {
      if (it->state == wire::MEMBER_IN_SYNC && it->target != me) sources.push_back(it->target);
    }
    return sources;
  }
  if (group.members.front().target != me) return {group.members.front().target};
  for (uint32_t i = 1; i < group.reconciling; ++i) sources.push_back(group.members[i].target);
  return sources;
}

absl::Status MayAnswer(const Group& group, const SyncQuestion& question) {
  const MemberView asked = ViewOf(group, question.asked);
  RETURN_IF_ERROR(CheckEpoch(asked, question.epoch));
  const MemberView asker = ViewOf(group, question.asker);
  if (!asker.is_member() || question.asker == question.asked) {
    return WithReason(absl::FailedPreconditionError(
                          absl::StrCat("target ", question.asker.value(), " is no other member")),
                      Reason::kNotMember);
  }
  if (asked.in_sync) return absl::OkStatus();
  if (group.reconciling == 0) {
    return WithReason(absl::FailedPreconditionError("not an in-sync member of the group"),
                      Reason::kNotMember);
  }
  if (asked.is_head()) {
    return question.adopted ? absl::OkStatus()
                            : absl::AbortedError("the leader has not heard all others yet");
  }
  if (asker.is_head() && static_cast<uint32_t>(asked.position) < group.reconciling) {
    return absl::OkStatus();
  }
  return WithReason(absl::FailedPreconditionError("not the leader of a reconciling group"),
                    Reason::kNotMember);
}

SyncPass PassOf(const Group& group, TargetId me) {
  return SyncPass{RoleOf(group, me), group.epoch, group.reconciling > 0};
}

SyncDecision DecideSync(const SyncPass& pass, const ChunkInfo& own, const SourceChunk& source) {
  if (pass.role == SyncRole::kLead) return DecideToLead(own, source);
  const std::optional<ChunkVersion>& coming = source.pending;
  const bool has_coming = coming && own.committed == *coming;
  // A version of an earlier epoch may be committed there without us yet; in a reconciling group
  // nothing is committed.
  const bool again = coming && coming->epoch < pass.epoch && !has_coming && !pass.reconciling;
  // Perhaps it was here and is deleted by what is pending there.
  const bool perhaps_deleted =
      coming && !own.exists() && source.version.valid() && own.pending != coming;
  if (perhaps_deleted && !pass.reconciling) return Do(SyncAction::kNothing, /*again=*/true);
  const bool same = !own.quarantined && (own.committed == source.version || has_coming);
  if (same) {
    const bool discard = own.pending && own.pending != coming;
    return Do(discard ? SyncAction::kDiscard : SyncAction::kNothing, again);
  }
  // Given to the predecessors as done already: there is no way back to an older one.
  if (has_coming) return Do(SyncAction::kNothing, /*again=*/true);
  if (!source.version.valid()) return Do(SyncAction::kDrop, again);
  if (source.quarantined) return Do(SyncAction::kNothing, /*again=*/true);
  return Do(SyncAction::kTake, again);
}

bool InStoreOrder(const ChunkKey& a, const ChunkKey& b) {
  return std::make_tuple(ReverseBits(a.position), a.content, a.index) <
         std::make_tuple(ReverseBits(b.position), b.content, b.index);
}

ChunkKey JustBefore(const ChunkKey& key) {
  if (key.index > 0) return ChunkKey{key.position, key.content, key.index - 1};
  return ChunkKey{key.position, ContentId(key.content.value() - 1), UINT32_MAX};
}

}  // namespace penstock::chunkserver
