// MemberBarrier has the in-sync members of chunks make durable what they have of them
// (METHOD_SYNC_CHUNKS), this server's targets included. One thread.
#pragma once

#include <absl/status/status.h>

#include <map>

#include "chunkserver/chain/peer_clients.h"
#include "common/cluster_map.h"
#include "common/ids.h"
#include "proto/chunk.pb.h"

namespace penstock::chunkserver {

class MemberBarrier {
 public:
  // Both outlive it.
  MemberBarrier(const ClusterMap& map, PeerClients* peers) : map_(map), peers_(peers) {}

  // The chunk has at least this version; not valid: whatever it has.
  void Add(const Group& group, const ChunkKey& key, ChunkVersion version);
  bool full() const;
  // Empty again afterwards. An error: not all of it is durable.
  absl::Status Run();

 private:
  const ClusterMap& map_;
  PeerClients* const peers_;
  std::map<ServerId, wire::SyncChunksRequest> requests_;
};

}  // namespace penstock::chunkserver
