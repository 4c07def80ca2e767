// WriteChain carries writes through this member: it does on disk and network what ChainWrite says.
// Several chunks of one request go together: all are staged, then sent to their successors with one
// call for each server, then committed. Thread-safe; works and waits in the calling thread.
//
// Waiting never goes in a circle across servers: work of hop k holds its chunks' places
// (ChunkLocks) while it waits for hop k + 1 elsewhere, each hop has worker threads and connections
// of its own, and the tail waits for nobody.
#pragma once

#include <absl/time/time.h>
#include <absl/types/span.h>

#include <functional>
#include <memory>
#include <vector>

#include "chunkserver/chain/chain_rules.h"
#include "chunkserver/chain/chain_write.h"
#include "chunkserver/chain/chunk_locks.h"
#include "chunkserver/chain/peer_clients.h"
#include "chunkserver/targets.h"
#include "common/cluster_map.h"

namespace penstock::chunkserver {

// One write of one chunk, and what came of it.
struct ChainJob {
  Target* target = nullptr;  // open
  uint32_t storage_class = 0;
  ChunkKey key;
  ChainRequest request;
  // Asked before anything is changed here, the chunk's place taken: a write may have waited long
  // for it. An error is the job's. Empty: it may.
  std::function<absl::Status()> may_stage;
  ChunkChange change;    // its data must stay until Run() returns
  absl::Status status;   // out
  ChunkVersion version;  // out, when OK
  // Out, at the head: bytes more (or fewer) that this target stores of the chunk. A repeat of what
  // was committed before says 0.
  int64_t length_delta = 0;
};

class WriteChain {
 public:
  // All must outlive it.
  WriteChain(const MapHolder* map, PeerClients* peers, ChunkLocks* locks)
      : map_(map), peers_(peers), locks_(locks) {}

  // All jobs have the same hop. Every job has its status when it returns.
  void Run(absl::Span<ChainJob> jobs, absl::Time deadline);

  // Ends every wait for a successor, now and later: ABORTED. What is pending stays so.
  void Stop() { stop_.Fire(); }

  // Brings to its end what is pending of a chunk, if anything.
  absl::Status Settle(Target* target, uint32_t storage_class, const ChunkKey& key,
                      absl::Time deadline);

 private:
  struct Running;
  // Does steps until the job is done or must be forwarded.
  void Advance(Running& running);
  ChainStep Look(Running& running);
  ChainStep Stage(Running& running);
  ChainStep Commit(Running& running);
  void ForwardAll(std::vector<Running*> waiting, absl::Time deadline);

  const MapHolder* const map_;
  PeerClients* const peers_;
  ChunkLocks* const locks_;
  net::Interrupt stop_;
};

}  // namespace penstock::chunkserver
