// METHOD_READ_CHUNKS: any in-sync member serves the committed version. The reply's payload is the
// bytes of all reads, in order, read from disk straight into place.
#include <algorithm>

#include "chunkserver/chain/chunk_wire.h"
#include "chunkserver/service/chunk_lookup.h"
#include "chunkserver/service/chunk_service.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

void SetRead(const ReadResult& read, wire::ChunkResult* result) {
  *result->mutable_version() = ToWire(read.version);
  result->set_length(read.length);
  result->set_crc32c(read.crc32c);
  result->set_logical_length(read.logical_length);
}

}  // namespace

void ChunkService::ReadOne(const ClusterMap& map, const wire::ChunkRead& read,
                           absl::Span<char> into, absl::Time deadline, wire::ChunkResult* result) {
  auto found = FindChunk(map, *parts_.targets, AddressOf(read));
  if (!found.ok()) return SetStatus(found.status(), result);
  const ChunkKey key = FromWire(read.key());
  Target& target = *found->target;
  target.requests.fetch_add(1, std::memory_order_relaxed);
  // The look comes before the read: what it does not see pending was not committed anywhere yet, or
  // is committed here.
  auto info = target.store->Stat(key);
  if (!info.ok()) return SetStatus(info.status(), result);
  ReadDecision decision = DecideRead(found->view, *info);
  if (decision.action == ReadAction::kSettle) {
    if (absl::Status status = parts_.chain->Settle(&target, read.storage_class(), key, deadline);
        !status.ok()) {
      return SetStatus(status, result);
    }
  } else if (decision.action == ReadAction::kRefuse) {
    if (info->pending) parts_.settler->Note(target.target_id(), read.storage_class(), key);
    return SetStatus(decision.refusal, result);
  }
  auto done = target.store->Read(key, read.offset(), into);
  if (done.ok()) return SetRead(*done, result);
  if (absl::IsNotFound(done.status())) {
    if (target.store->MayLack(found->view.group, key.content)) {
      return SetStatus(absl::DataLossError("the chunk may have been lost with the target's index"),
                       result);
    }
    result->set_absent(true);
    return;
  }
  SetStatus(done.status(), result);
}

void ChunkService::RunRead(ReadCall& call) {
  const auto map = parts_.map->Get();
  const absl::Time deadline = call.context().deadline();
  uint64_t total = 0;
  for (const wire::ChunkRead& read : call.request().reads()) total += read.length();
  net::PayloadBuffer payload = net::PayloadBuffer::Allocate(total);
  size_t filled = 0;
  for (const wire::ChunkRead& read : call.request().reads()) {
    wire::ChunkResult* result = call.response().add_results();
    ReadOne(*map, read, payload.span().subspan(filled, read.length()), deadline, result);
    filled += result->length();
  }
  if (absl::Now() > deadline) {
    call.Finish(absl::DeadlineExceededError("the read took too long"));
    return;
  }
  // The bytes were read while others may already have written newer ones.
  if (absl::Status status = MayServe(); !status.ok()) {
    call.Finish(status);
    return;
  }
  payload.Truncate(filled);
  call.set_reply_payload(std::move(payload));
  call.Finish(absl::OkStatus());
}

}  // namespace penstock::chunkserver
