// TruncateContent: the heads of its groups cut a content's chunks, down their chains.
#include "chunkserver/control/member_barrier.h"
#include "chunkserver/control/order_worker.h"
#include "common/file_layout.h"
#include "common/placement.h"
#include "common/status.h"

namespace penstock::chunkserver {

absl::Status OrderWorker::CutChunk(const wire::Layout& wire_layout, uint32_t index,
                                   uint32_t new_length, MemberBarrier& barrier) {
  const FileLayout layout = LayoutOf(wire_layout);
  const ChunkKey key = ChunkKeyOf(layout, index);
  const auto map = parts_.map->Get();
  const Group* group = map->GroupOf(layout.storage_class, key.position);
  if (group == nullptr || group->members.empty()) {
    return WithReason(absl::UnavailableError("no groups are known here yet"), Reason::kNoGroups);
  }
  Target* head = parts_.targets->Find(group->members.front().target);
  if (head == nullptr) return absl::OkStatus();  // another server's work
  if (!head->is_open()) return absl::UnavailableError("the head is absent");
  ChainJob job;
  job.target = head;
  job.storage_class = layout.storage_class;
  job.key = key;
  job.change.kind = new_length == 0 ? ChangeKind::kDelete : ChangeKind::kTruncate;
  job.change.offset = new_length;
  job.request.kind = job.change.kind;
  job.request.epoch = group->epoch;
  // Already short enough: a truncation would make it longer. What the head lacks, all lack.
  ASSIGN_OR_RETURN(const ChunkInfo info, head->store->Stat(key));
  if (!info.pending && (!info.exists() || (new_length > 0 && info.logical_length <= new_length))) {
    barrier.Add(*group, key, info.committed);
    return absl::OkStatus();
  }
  parts_.chain->Run(absl::MakeSpan(&job, 1), absl::Now() + kChunkOrderTimeout);
  if (job.status.ok()) barrier.Add(*group, key, job.version);
  return job.status;
}

absl::Status OrderWorker::TruncateContent(const wire::TruncateContent& order) {
  RETURN_IF_ERROR(CheckLayout(order.layout()));
  const uint64_t chunk_size = uint64_t{1} << order.layout().chunk_size_log2();
  const uint64_t boundary = order.new_size() / chunk_size;
  const uint64_t count = (order.old_size() + chunk_size - 1) / chunk_size;
  const auto map = parts_.map->Get();
  MemberBarrier barrier(*map, parts_.peers);
  for (uint64_t index = boundary; index < count; ++index) {
    if (stop_.is_set()) return absl::CancelledError("stopping");
    const uint32_t keep =
        index == boundary ? static_cast<uint32_t>(order.new_size() % chunk_size) : 0;
    RETURN_IF_ERROR(Annotate(CutChunk(order.layout(), static_cast<uint32_t>(index), keep, barrier),
                             "truncate content"));
    if (barrier.full()) RETURN_IF_ERROR(barrier.Run());
  }
  return barrier.Run();
}

}  // namespace penstock::chunkserver
