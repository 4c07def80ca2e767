#include "chunkserver/sync/sync_source.h"

#include <absl/strings/str_cat.h>

#include "chunkserver/chain/chunk_wire.h"
#include "common/placement.h"
#include "common/status.h"
#include "common/units.h"

namespace penstock::chunkserver {
namespace {

// Connections of their own (PeerClients): no write waits for one.
constexpr uint32_t kSyncHop = 1000;
constexpr uint64_t kLargestChunk = 64 * kMiB;  // as the payload of one reply

ListedState FromListed(const wire::ListedChunk& chunk) {
  ListedState listed;
  listed.key = FromWire(chunk.key());
  listed.state.version = FromWire(chunk.version());
  if (chunk.has_pending()) listed.state.pending = FromWire(chunk.pending());
  listed.state.quarantined = chunk.quarantined();
  listed.logical_length = chunk.logical_length();
  return listed;
}

}  // namespace

net::CallOptions SyncSource::Options() const {
  net::CallOptions options;
  options.timeout = peer_.timeout;
  options.interrupt = stop_;
  return options;
}

absl::StatusOr<PagedCursor<ListedState>::Page> SyncSource::List(
    const std::optional<ChunkKey>& after, uint32_t limit) {
  wire::ListChunksRequest request;
  request.set_storage_class(peer_.group.storage_class);
  request.set_group(peer_.group.number);
  request.set_epoch(peer_.epoch);
  request.set_target_id(peer_.asked.value());
  request.set_for_target_id(peer_.asker.value());
  if (after) *request.mutable_after() = ToWire(*after);
  request.set_limit(limit);
  wire::ListChunksResponse response;
  RETURN_IF_ERROR(Annotate(peers_->Get(peer_.server, kSyncHop)
                               ->Call(wire::METHOD_LIST_CHUNKS, request, &response, Options()),
                           absl::StrCat("list chunks of target ", peer_.asked.value())));
  PagedCursor<ListedState>::Page page;
  page.more = response.more();
  ChunkKey page_before;
  const ChunkKey* before = after ? &*after : nullptr;
  for (const wire::ListedChunk& chunk : response.chunks()) {
    page.items.push_back(FromListed(chunk));
    const ChunkKey& key = page.items.back().key;
    if (!key.content.valid() ||
        GroupOfPosition(key.position, peer_.group_count) != peer_.group.number ||
        (before != nullptr && !InStoreOrder(*before, key))) {
      return absl::InternalError(
          absl::StrCat("chunk ", ToString(key), " has no place in a listing"));
    }
    page_before = key;
    before = &page_before;
  }
  return page;
}

// A fetch says only that something is pending; the listing says what.
absl::StatusOr<std::optional<ChunkVersion>> SyncSource::PendingOf(const ChunkKey& key,
                                                                  ChunkVersion version) {
  ASSIGN_OR_RETURN(const auto page, List(JustBefore(key), 1));
  SourceChunk state;
  if (!page.items.empty() && page.items.front().key == key) state = page.items.front().state;
  if (state.version != version) return absl::AbortedError("the chunk was changed meanwhile");
  return state.pending;
}

wire::FetchChunkRequest SyncSource::RequestFor(const ChunkKey& key) const {
  wire::FetchChunkRequest request;
  *request.mutable_key() = ToWire(key);
  request.set_storage_class(peer_.group.storage_class);
  request.set_epoch(peer_.epoch);
  request.set_target_id(peer_.asked.value());
  request.set_for_target_id(peer_.asker.value());
  return request;
}

// Its state does not say so; but of a chunk that never was it says that it is absent, or that it
// may lack it.
absl::StatusOr<bool> SyncSource::MayLack(ContentId content) {
  const wire::FetchChunkRequest request =
      RequestFor(ChunkKey{peer_.group.number, content, UINT32_MAX});
  wire::FetchChunkResponse response;
  const absl::Status status = peers_->Get(peer_.server, kSyncHop)
                                  ->Call(wire::METHOD_FETCH_CHUNK, request, &response, Options());
  if (absl::IsDataLoss(status)) return true;
  RETURN_IF_ERROR(Annotate(status, absl::StrCat("ask target ", peer_.asked.value())));
  return false;
}

absl::StatusOr<uint64_t> SyncSource::UnknownBelow() {
  ASSIGN_OR_RETURN(const bool any, MayLack(ContentId(1)));
  if (!any) return uint64_t{0};
  uint64_t lacked = 1, known = UINT64_MAX;  // the highest id is nobody's
  while (known - lacked > 1) {
    const uint64_t middle = lacked + (known - lacked) / 2;
    ASSIGN_OR_RETURN(const bool lacks, MayLack(ContentId(middle)));
    (lacks ? lacked : known) = middle;
  }
  return known;
}

absl::StatusOr<FetchedChunk> SyncSource::Fetch(const ChunkKey& key) {
  if (buffer_.size() == 0) buffer_ = net::PayloadBuffer::Allocate(kLargestChunk);
  const wire::FetchChunkRequest request = RequestFor(key);
  wire::FetchChunkResponse response;
  const iovec into[] = {{buffer_.data(), buffer_.size()}};
  size_t received = 0;
  RETURN_IF_ERROR(Annotate(
      peers_->Get(peer_.server, kSyncHop)
          ->Call(wire::METHOD_FETCH_CHUNK, request, &response, Options(), {}, into, &received),
      absl::StrCat("fetch chunk ", ToString(key), " from target ", peer_.asked.value())));
  FetchedChunk fetched;
  fetched.state.version = FromWire(response.version());
  if (fetched.state.version.valid() == response.absent()) {
    return absl::InternalError("a fetched chunk that is neither absent nor has a version");
  }
  fetched.content.version = fetched.state.version;
  fetched.content.data = buffer_.span().subspan(0, received);
  fetched.content.crc32c = response.crc32c();
  for (const wire::ChunkChannel& channel : response.channels()) {
    fetched.content.channels.push_back(FromWire(channel));
  }
  if (response.has_pending()) {
    ASSIGN_OR_RETURN(fetched.state.pending, PendingOf(key, fetched.state.version));
  }
  return fetched;
}

}  // namespace penstock::chunkserver
