// METHOD_STAT_CHUNKS: what a member has of a chunk; any member answers, in sync or not.
#include "chunkserver/chain/chunk_wire.h"
#include "chunkserver/service/chunk_lookup.h"
#include "chunkserver/service/chunk_service.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

void StatOne(const ClusterMap& map, const Targets& targets, const wire::ChunkRead& chunk,
             bool verify, wire::ChunkResult* result) {
  auto found = FindChunk(map, targets, AddressOf(chunk));
  if (!found.ok()) return SetStatus(found.status(), result);
  ChunkStore& store = *found->target->store;
  const ChunkKey key = FromWire(chunk.key());
  absl::Status verified;
  if (verify) verified = store.Verify(key);
  // After the check, which may have quarantined it.
  auto info = store.Stat(key);
  if (!info.ok()) return SetStatus(info.status(), result);
  result->set_absent(!info->exists());
  *result->mutable_version() = ToWire(info->committed);
  result->set_logical_length(info->logical_length);
  result->set_stored_length(info->stored_length);
  // Nobody knows whether it was here: a damaged copy, no hole.
  result->set_quarantined(info->quarantined ||
                          (!info->exists() && store.MayLack(found->view.group, key.content)));
  if (info->pending) *result->mutable_pending() = ToWire(*info->pending);
  result->set_verified(verify && verified.ok() && info->exists());
  if (!verified.ok() && !absl::IsNotFound(verified)) SetStatus(verified, result);
}

}  // namespace

void ChunkService::RunStat(StatCall& call) {
  const auto map = parts_.map->Get();
  for (const wire::ChunkRead& chunk : call.request().chunks()) {
    if (absl::Now() > call.context().deadline()) {
      call.Finish(absl::DeadlineExceededError("the checks took too long"));
      return;
    }
    StatOne(*map, *parts_.targets, chunk, call.request().verify(), call.response().add_results());
  }
  call.Finish(MayServe());
}

}  // namespace penstock::chunkserver
