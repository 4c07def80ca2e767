// METHOD_SYNC_CHUNKS: this member has at least the named versions, and they survive a power cut.
#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>

#include <vector>

#include "chunkserver/chain/chunk_wire.h"
#include "chunkserver/service/chunk_lookup.h"
#include "chunkserver/service/chunk_service.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

// OK: the member has `wanted` or a later version committed, or the chunk was deleted after it.
absl::StatusOr<ChunkVersion> CheckHas(Target& target, const ChunkKey& key, ChunkVersion wanted) {
  ASSIGN_OR_RETURN(const ChunkInfo info, target.store->Stat(key));
  if (info.quarantined) {
    if (target.lost.Has(key)) return absl::DataLossError("the chunk is quarantined");
    return absl::AbortedError("the copy here is damaged and is being repaired: try again");
  }
  if (info.committed >= wanted) return info.committed;
  if (!info.exists() && target.memory.Recall(key).floor >= wanted) return ChunkVersion{};
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "has version ", ToString(info.committed), ", not ", ToString(wanted))),
                    Reason::kNotDurable);
}

}  // namespace

void ChunkService::RunSync(SyncCall& call) {
  const auto map = parts_.map->Get();
  absl::flat_hash_map<Target*, std::vector<int>> items;
  for (int i = 0; i < call.request().syncs_size(); ++i) {
    const wire::ChunkSync& sync = call.request().syncs(i);
    wire::ChunkResult* result = call.response().add_results();
    auto found = FindChunk(*map, *parts_.targets, AddressOf(sync));
    absl::Status status = found.status();
    if (status.ok()) {
      auto has = CheckHas(*found->target, FromWire(sync.key()), FromWire(sync.version()));
      status = has.status();
      if (has.ok()) {
        *result->mutable_version() = ToWire(*has);
        items[found->target].push_back(i);
      }
    }
    SetStatus(status, result);
  }
  for (const auto& [target, indices] : items) {
    const absl::Status status = target->store->Barrier();
    if (status.ok()) continue;
    for (int i : indices) SetStatus(status, call.response().mutable_results(i));
  }
  call.Finish(MayServe());
}

}  // namespace penstock::chunkserver
