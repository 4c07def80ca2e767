// SyncSource asks another member of a group for what it has: METHOD_LIST_CHUNKS and
// METHOD_FETCH_CHUNK. One thread at a time.
#pragma once

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include <memory>
#include <optional>
#include <vector>

#include "chunkserver/chain/peer_clients.h"
#include "chunkserver/sync/paged_cursor.h"
#include "chunkserver/sync/sync_rules.h"
#include "common/cluster_map.h"
#include "common/net/payload_buffer.h"
#include "proto/chunk.pb.h"

namespace penstock::chunkserver {

struct ListedState {
  ChunkKey key;
  SourceChunk state;
  uint32_t logical_length = 0;
};

struct FetchedChunk {
  SourceChunk state;
  ChunkContent content;  // not of an absent chunk; its bytes stay until the next Fetch()
};

class SyncSource {
 public:
  struct Peer {
    wire::MapServer server;
    GroupId group;
    uint32_t group_count = 0;
    uint32_t epoch = 0;
    TargetId asked;
    TargetId asker;
    absl::Duration timeout = absl::Seconds(20);  // of a call
  };
  // `peers` and `stop`, which ends calls, outlive it.
  SyncSource(PeerClients* peers, Peer peer, const net::Interrupt* stop)
      : peers_(peers), peer_(std::move(peer)), stop_(stop) {}

  absl::StatusOr<PagedCursor<ListedState>::Page> List(const std::optional<ChunkKey>& after,
                                                      uint32_t limit = 0);
  // What the source has, and its committed bytes. DATA_LOSS: they are damaged there.
  absl::StatusOr<FetchedChunk> Fetch(const ChunkKey& key);
  // Of contents below it the source may lack chunks that it had (ChunkStore::MayLack); 0: of none.
  absl::StatusOr<uint64_t> UnknownBelow();

 private:
  net::CallOptions Options() const;
  wire::FetchChunkRequest RequestFor(const ChunkKey& key) const;
  absl::StatusOr<bool> MayLack(ContentId content);
  absl::StatusOr<std::optional<ChunkVersion>> PendingOf(const ChunkKey& key, ChunkVersion version);

  PeerClients* const peers_;
  const Peer peer_;
  const net::Interrupt* const stop_;
  net::PayloadBuffer buffer_;  // made with the first fetch
};

}  // namespace penstock::chunkserver
