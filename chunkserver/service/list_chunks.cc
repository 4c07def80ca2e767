// METHOD_LIST_CHUNKS: what this member has of a group, in key order, for one that syncs with it.
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "chunkserver/chain/chunk_wire.h"
#include "chunkserver/service/chunk_service.h"
#include "chunkserver/sync/sync_rules.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr uint32_t kMostListed = 2000;

void Describe(const ChunkKey& key, const ChunkInfo& info, wire::ListedChunk* listed) {
  *listed->mutable_key() = ToWire(key);
  if (info.exists()) *listed->mutable_version() = ToWire(info.committed);
  if (info.pending) *listed->mutable_pending() = ToWire(*info.pending);
  listed->set_logical_length(info.logical_length);
  listed->set_quarantined(info.quarantined);
}

// For an administrator, who names no member: what an in-sync member has, as it would serve it.
absl::Status MayShow(const Group& group, const SyncQuestion& question) {
  RETURN_IF_ERROR(CheckEpoch(ViewOf(group, question.asked), question.epoch));
  for (const GroupMember& member : group.members) {
    if (member.target == question.asked && member.state == wire::MEMBER_IN_SYNC) {
      return absl::OkStatus();
    }
  }
  return WithReason(absl::FailedPreconditionError("the member is not in sync"), Reason::kNotMember);
}

}  // namespace

absl::StatusOr<Target*> ChunkService::FindSource(const Group& group,
                                                 const SyncQuestion& question) const {
  SyncQuestion full = question;
  full.adopted =
      parts_.adopted != nullptr && parts_.adopted->Has(question.asked, group.id, question.epoch);
  RETURN_IF_ERROR(question.asker.valid() ? MayAnswer(group, full) : MayShow(group, question));
  Target* target = parts_.targets->Find(question.asked);
  if (target == nullptr || !target->is_open()) {
    return WithReason(absl::UnavailableError(
                          absl::StrCat("target ", question.asked.value(), " is not open here")),
                      Reason::kAbsentTarget);
  }
  target->requests.fetch_add(1, std::memory_order_relaxed);
  return target;
}

absl::Status ChunkService::ListChunks(const wire::ListChunksRequest& request,
                                      wire::ListChunksResponse* response) {
  const auto map = parts_.map->Get();
  const Group* group = map->FindGroup(GroupId{request.storage_class(), request.group()});
  if (group == nullptr) {
    return WithReason(absl::UnavailableError("no such group is known here"), Reason::kNoGroups);
  }
  ASSIGN_OR_RETURN(Target* const target,
                   FindSource(*group, {TargetId(request.target_id()),
                                       TargetId(request.for_target_id()), request.epoch()}));
  const auto count = static_cast<uint32_t>(map->FindClass(request.storage_class())->groups.size());
  const int limit =
      static_cast<int>(request.limit() == 0 ? kMostListed : std::min(request.limit(), kMostListed));
  std::optional<ChunkKey> after;
  if (request.has_after()) after = FromWire(request.after());
  // The map was looked at before the chunks: what is committed under an earlier epoch is committed
  // or pending by now (chain_write.h).
  return target->store->VisitGroup(
      request.group(), count, after, [&](const ChunkKey& key, const ChunkInfo& info) {
        response->set_more(response->chunks_size() == limit);
        if (response->more()) return false;
        Describe(key, info, response->add_chunks());
        // The asker may have to wait until it is settled, and perhaps no client comes back for it.
        if (info.pending && group->reconciling == 0 && request.for_target_id() != 0) {
          parts_.settler->Note(target->target_id(), request.storage_class(), key);
        }
        return true;
      });
}

void ChunkService::RunList(ListCall& call) {
  absl::Status status = ListChunks(call.request(), &call.response());
  status.Update(MayServe());
  call.Finish(status);
}

}  // namespace penstock::chunkserver
