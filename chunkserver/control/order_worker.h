// OrderWorker does what the metaserver's heartbeat replies ask for, one order at a time on a thread
// of its own, and keeps the numbers of those that are done until the metaserver has heard of them.
// An order that failed is forgotten: it comes again with the next heartbeat. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <optional>
#include <thread>
#include <vector>

#include "chunkserver/chain/chunk_locks.h"
#include "chunkserver/chain/write_chain.h"
#include "chunkserver/control/stop_flag.h"
#include "chunkserver/targets.h"
#include "common/cluster_map.h"
#include "proto/cluster.pb.h"

namespace penstock::chunkserver {

class OrderWorker {
 public:
  struct Parts {
    const MapHolder* map = nullptr;
    Targets* targets = nullptr;
    WriteChain* chain = nullptr;
    ChunkLocks* locks = nullptr;
  };
  explicit OrderWorker(Parts parts) : parts_(parts) {}  // all outlive it
  ~OrderWorker() { Stop(); }

  void Start();
  void Stop();
  // Takes the orders of a heartbeat reply; known ones are not taken twice, and what is done and no
  // longer asked for is forgotten.
  void Take(absl::Span<const wire::Order> orders);
  std::vector<uint64_t> done() const;

  // The work itself, for tests.
  absl::Status DeleteContent(const wire::DeleteContent& order);
  absl::Status TruncateContent(const wire::TruncateContent& order);

 private:
  void Run();
  absl::Status Execute(const wire::Order& order);
  absl::Status DropChunk(Target& target, const Group* group, const ChunkKey& key);
  absl::Status CutChunk(const wire::Layout& layout, uint32_t index, uint32_t new_length);

  const Parts parts_;
  StopFlag stop_;
  mutable absl::Mutex mu_;
  absl::btree_map<uint64_t, wire::Order> waiting_ ABSL_GUARDED_BY(mu_);
  std::optional<uint64_t> running_ ABSL_GUARDED_BY(mu_);
  absl::btree_set<uint64_t> done_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace penstock::chunkserver
