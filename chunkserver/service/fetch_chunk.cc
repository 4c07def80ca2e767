// METHOD_FETCH_CHUNK: one whole chunk, as committed, for a member that syncs with this one.
#include <absl/strings/str_cat.h>

#include "chunkserver/chain/chunk_wire.h"
#include "chunkserver/service/chunk_lookup.h"
#include "chunkserver/service/chunk_service.h"
#include "chunkserver/sync/sync_rules.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr int kFetchTries = 3;

// What the store says of a chunk before and after its bytes were read must fit them.
absl::Status ReadWhole(ChunkStore& store, const ChunkKey& key, wire::FetchChunkResponse* response,
                       net::PayloadBuffer* payload) {
  ASSIGN_OR_RETURN(const ChunkInfo before, store.Stat(key));
  response->set_has_pending(before.pending.has_value());
  response->set_absent(!before.exists());
  if (!before.exists()) return absl::OkStatus();
  if (before.logical_length > kMaxReplyBytes) {
    return absl::InvalidArgumentError("the chunk is longer than a reply may be");
  }
  *payload = net::PayloadBuffer::Allocate(before.logical_length);
  ASSIGN_OR_RETURN(const ReadResult read, store.Read(key, 0, payload->span()));
  ASSIGN_OR_RETURN(const ChunkInfo after, store.Stat(key));
  if (read.version != before.committed || after.committed != before.committed ||
      after.pending != before.pending) {
    return absl::AbortedError("the chunk was changed meanwhile");
  }
  *response->mutable_version() = ToWire(read.version);
  response->set_crc32c(read.crc32c);
  payload->Truncate(read.length);
  for (const ChannelRecord& channel : after.channels) {
    if (channel.version <= after.committed) *response->add_channels() = ToWire(channel);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ChunkService::FetchChunk(const wire::FetchChunkRequest& request,
                                      wire::FetchChunkResponse* response,
                                      net::PayloadBuffer* payload) {
  const auto map = parts_.map->Get();
  const ChunkKey key = FromWire(request.key());
  if (!key.content.valid()) return absl::InvalidArgumentError("a chunk without content id");
  const Group* group = map->GroupOf(request.storage_class(), key.position);
  if (group == nullptr) {
    return WithReason(absl::UnavailableError("no such group is known here"), Reason::kNoGroups);
  }
  ASSIGN_OR_RETURN(Target* const target,
                   FindSource(*group, {TargetId(request.target_id()),
                                       TargetId(request.for_target_id()), request.epoch()}));
  absl::Status status;
  for (int i = 0; i < kFetchTries; ++i) {
    response->Clear();
    status = ReadWhole(*target->store, key, response, payload);
    // Not found: deleted since the first look.
    if (absl::IsAborted(status) || absl::IsNotFound(status)) continue;
    // So that the asker does not drop what it has.
    if (status.ok() && response->absent() && target->store->MayLack(group->id, key.content)) {
      return absl::DataLossError("the chunk may have been lost with the target's index");
    }
    return status;
  }
  return absl::AbortedError(status.message());
}

void ChunkService::RunFetch(FetchCall& call) {
  net::PayloadBuffer payload;
  absl::Status status = FetchChunk(call.request(), &call.response(), &payload);
  status.Update(MayServe());
  call.set_reply_payload(std::move(payload));
  call.Finish(status);
}

}  // namespace penstock::chunkserver
