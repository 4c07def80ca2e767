// What the processes of a simulated cluster say to each other about chunks: proto/chunk.proto in
// small, one chunk a call.
#pragma once

#include <absl/status/statusor.h>

#include <vector>

#include "chunkserver/chain/chain_rules.h"
#include "tests/simulation/network.h"
#include "tests/simulation/sim_replica.h"

namespace penstock::simulation {

using chunkserver::SimChange;
using chunkserver::SimReplica;

struct WriteCall {
  TargetId target;
  ChunkKey key;
  chunkserver::ChainRequest request;
  SimChange change;
};
using WriteResult = absl::StatusOr<ChunkVersion>;

struct ReadCall {
  TargetId target;
  ChunkKey key;
  uint32_t epoch = 0;
};
using ReadResult = absl::StatusOr<SimReplica::Chunk>;

struct SyncCall {  // an fsync's
  TargetId target;
  ChunkKey key;
  uint32_t epoch = 0;
  ChunkVersion version;
};

struct FetchCall {  // of a member that syncs: ListChunks and FetchChunk
  TargetId asked;
  TargetId asker;
  GroupId group;
  uint32_t epoch = 0;
  std::vector<ChunkKey> keys;
};
using FetchResult = absl::StatusOr<std::vector<SimReplica::Chunk>>;

}  // namespace penstock::simulation
