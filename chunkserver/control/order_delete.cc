// DeleteContent: every server drops what its own targets have of a content.
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "chunkserver/chain/chain_rules.h"
#include "chunkserver/control/order_worker.h"
#include "common/file_layout.h"
#include "common/placement.h"
#include "common/status.h"

namespace penstock::chunkserver {

absl::Status OrderWorker::DropChunk(Target& target, const Group* group, const ChunkKey& key) {
  // Before the look: a write that was let in before the content was known as dead has ended then.
  ASSIGN_OR_RETURN(const ChunkLocks::Guard place,
                   parts_.locks->Lock(ChunkLockId{target.target_id(), key}, kChunkOrderTimeout));
  ASSIGN_OR_RETURN(const ChunkInfo info, target.store->Stat(key));
  if (!info.exists() && !info.pending) return absl::OkStatus();
  if (info.pending) RETURN_IF_ERROR(target.store->Discard(key, *info.pending));
  const ChunkVersion newest = std::max(info.committed, info.pending.value_or(ChunkVersion{}));
  ChunkVersion version;
  version.epoch = std::max(newest.epoch, group == nullptr ? 0 : group->epoch);
  RETURN_IF_ERROR(target.store->RaiseSequence(newest.sequence));
  ASSIGN_OR_RETURN(version.sequence, target.store->NextSequence());
  if (info.exists()) {
    ChunkChange change;
    change.kind = ChangeKind::kDelete;
    RETURN_IF_ERROR(target.store->Stage(key, version, change));
    RETURN_IF_ERROR(target.store->Commit(key, version));
  }
  return absl::OkStatus();
}

absl::Status OrderWorker::DropContent(Target& target, const FileLayout& layout,
                                      uint64_t chunk_count) {
  target.memory.RememberDead(layout.content);
  const auto map = parts_.map->Get();
  auto drop = [&](const ChunkKey& key) {
    return DropChunk(target, map->GroupOf(layout.storage_class, key.position), key);
  };
  ASSIGN_OR_RETURN(const SpaceUsage space, target.store->Space());
  if (chunk_count > space.chunks) return DropFound(target, layout.content, drop);
  for (uint64_t index = 0; index < chunk_count; ++index) {
    if (index % kChunksOfOneLook == 0 && stop_.is_set()) return absl::CancelledError("stopping");
    RETURN_IF_ERROR(drop(ChunkKeyOf(layout, static_cast<uint32_t>(index))));
  }
  return absl::OkStatus();
}

// A file of 64 TiB may be one hole: what the target has is then sooner looked through.
absl::Status OrderWorker::DropFound(Target& target, ContentId content,
                                    absl::FunctionRef<absl::Status(const ChunkKey&)> drop) {
  std::optional<ChunkKey> last;
  for (bool more = true; more;) {
    if (stop_.is_set()) return absl::CancelledError("stopping");
    std::vector<ChunkKey> found;
    size_t seen = 0;
    more = false;
    RETURN_IF_ERROR(
        target.store->VisitGroup(0, 1, last, [&](const ChunkKey& key, const ChunkInfo&) {
          if (key.content == content) found.push_back(key);
          last = key;
          more = ++seen == kChunksOfOneLook;
          return !more;
        }));
    for (const ChunkKey& key : found) RETURN_IF_ERROR(drop(key));
  }
  return absl::OkStatus();
}

// A member that is not in sync may be given chunks of the content by one that has not done the
// order yet, also when this process has been started anew and knows nothing of the order. The
// metaserver asks again when it is in sync.
absl::Status OrderWorker::CheckSettled(const Target& target, const FileLayout& layout,
                                       uint64_t chunk_count) const {
  const auto map = parts_.map->Get();
  const StorageClass* found = map->FindClass(layout.storage_class);
  if (found == nullptr || found->groups.empty()) {
    return absl::AbortedError("the groups are not known here yet");
  }
  // Further chunks lie in the groups of the first.
  const uint64_t groups = std::min<uint64_t>(chunk_count, found->groups.size());
  for (uint64_t index = 0; index < groups; ++index) {
    const ChunkKey key = ChunkKeyOf(layout, static_cast<uint32_t>(index));
    const MemberView view =
        ViewOf(*map->GroupOf(layout.storage_class, key.position), target.target_id());
    if (view.is_member() && !view.in_sync) {
      return absl::AbortedError(
          absl::StrCat("group ", view.group.number, " is being brought in sync"));
    }
  }
  return absl::OkStatus();
}

// The content is dead: each member drops its own chunks, no chain is needed. A target that fails
// does not keep the others from it.
absl::Status OrderWorker::DeleteContent(const wire::DeleteContent& order) {
  RETURN_IF_ERROR(CheckLayout(order.layout()));
  const FileLayout layout = LayoutOf(order.layout());
  if (order.chunk_count() > uint64_t{1} << 32) {
    return absl::InvalidArgumentError("an order for more chunks than a file has");
  }
  absl::Status first_error;
  for (const auto& target : parts_.targets->all()) {
    // The metaserver keeps the order for one that is absent, and none for one that was removed.
    if (!target->is_open() || target->removed) continue;
    first_error.Update(Annotate(DropContent(*target, layout, order.chunk_count()),
                                absl::StrCat("delete content from ", target->path)));
    first_error.Update(CheckSettled(*target, layout, order.chunk_count()));
  }
  return first_error;
}

}  // namespace penstock::chunkserver
