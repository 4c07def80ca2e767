// OrderWorker does what the metaserver's heartbeat replies ask for, and keeps the numbers of what
// is done until the metaserver has heard of them. Deletions and truncations have a thread each, one
// order at a time: a truncation may wait for another server. An order that failed is forgotten: the
// metaserver sends it again. Thread-safe.
//
// Done means: on every target that this server has open, and for good: it survives a power cut, and
// no target is still being brought to what others have, who may not have done it yet. The heartbeat
// that carries the numbers also says which targets those are, and for the others the metaserver
// keeps the order.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <optional>
#include <thread>
#include <vector>

#include "chunkserver/chain/chunk_locks.h"
#include "chunkserver/chain/peer_clients.h"
#include "chunkserver/chain/write_chain.h"
#include "chunkserver/control/member_barrier.h"
#include "chunkserver/stop_flag.h"
#include "chunkserver/targets.h"
#include "common/cluster_map.h"
#include "common/placement.h"
#include "proto/cluster.pb.h"

namespace penstock::chunkserver {

// For one chunk, its chain included.
constexpr absl::Duration kChunkOrderTimeout = absl::Seconds(10);
// Chunks between two looks at whether to stop.
constexpr size_t kChunksOfOneLook = 4096;

class OrderWorker {
 public:
  struct Parts {
    const MapHolder* map = nullptr;
    Targets* targets = nullptr;
    WriteChain* chain = nullptr;
    ChunkLocks* locks = nullptr;
    PeerClients* peers = nullptr;
  };
  explicit OrderWorker(Parts parts) : parts_(parts) {}  // all outlive it
  ~OrderWorker() { Stop(); }

  void Start();
  void Stop();
  // Takes the orders of a heartbeat reply; known ones are not taken twice. What was `reported` as
  // done by that heartbeat and is no longer asked for is forgotten.
  void Take(absl::Span<const wire::Order> orders, absl::Span<const uint64_t> reported);
  std::vector<uint64_t> done() const;
  size_t waiting() const;  // those that run apart

  // The work itself, for tests. A deletion and a dropped group survive a power cut after
  // MakeDurable(), a truncation at once.
  absl::Status DeleteContent(const wire::DeleteContent& order);
  absl::Status TruncateContent(const wire::TruncateContent& order);
  absl::Status DropGroup(const wire::DropGroup& order);
  absl::Status MakeDurable();

 private:
  struct Lane {
    absl::btree_map<uint64_t, wire::Order> waiting;
    absl::btree_set<uint64_t> running;
  };
  void Run(Lane OrderWorker::*lane);
  std::optional<wire::Order> Next(Lane OrderWorker::*lane);
  void Failed(const wire::Order& order, const absl::Status& status);
  absl::Status Execute(const wire::Order& order);
  absl::Status CheckMayDrop(const wire::DropGroup& order) const;
  absl::Status DropContent(Target& target, const FileLayout& layout, uint64_t chunk_count);
  absl::Status DropFound(Target& target, ContentId content,
                         absl::FunctionRef<absl::Status(const ChunkKey&)> drop);
  absl::Status DropChunk(Target& target, const Group* group, const ChunkKey& key);
  absl::Status CheckSettled(const Target& target, const FileLayout& layout,
                            uint64_t chunk_count) const;
  absl::Status CutChunk(const wire::Layout& layout, uint32_t index, uint32_t new_length,
                        MemberBarrier& barrier);

  const Parts parts_;
  StopFlag stop_;
  mutable absl::Mutex mu_;
  Lane deletions_ ABSL_GUARDED_BY(mu_);
  Lane truncations_ ABSL_GUARDED_BY(mu_);
  absl::btree_set<uint64_t> done_ ABSL_GUARDED_BY(mu_);
  size_t failed_ ABSL_GUARDED_BY(mu_) = 0;  // since the last line in the log
  absl::Time logged_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  std::thread deleter_;
  std::thread truncater_;
};

}  // namespace penstock::chunkserver
