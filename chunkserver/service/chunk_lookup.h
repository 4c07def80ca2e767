// Finds what a request for a chunk names, and refuses what does not hold: the group exists, the
// target is here and open and a member, and both sides know the same epoch.
#pragma once

#include <absl/status/statusor.h>

#include "chunkserver/chain/chain_rules.h"
#include "chunkserver/targets.h"
#include "common/cluster_map.h"

namespace penstock::chunkserver {

struct ChunkAddress {
  ChunkKey key;
  uint32_t storage_class = 0;
  uint32_t epoch = 0;
  TargetId target;
};
// Of a ChunkWrite, ChunkRead or ChunkSync.
template <typename Item>
ChunkAddress AddressOf(const Item& item) {
  return ChunkAddress{
      ChunkKey{item.key().position(), ContentId(item.key().content_id()), item.key().index()},
      item.storage_class(), item.epoch(), TargetId(item.target_id())};
}

struct FoundChunk {
  Target* target = nullptr;  // open
  MemberView view;           // a member, at the request's epoch
};
absl::StatusOr<FoundChunk> FindChunk(const ClusterMap& map, const Targets& targets,
                                     const ChunkAddress& address);

// Most items of one request.
inline constexpr int kMaxItems = 1024;
// Most payload bytes of one reply.
inline constexpr uint64_t kMaxReplyBytes = 64 << 20;

absl::Status CheckItemCount(int count);

}  // namespace penstock::chunkserver
