// Targets are the disk directories that this server serves: which are open, which are absent and
// why. The set is fixed after OpenTargets(); ids come with the first registration. Thread-safe.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "chunkserver/chain/chunk_memory.h"
#include "chunkserver/chunkserver_options.h"
#include "chunkserver/scrub/lost_chunks.h"
#include "chunkserver/server_identity.h"
#include "chunkserver/store/chunk_store.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/worker_pool.h"

namespace penstock::chunkserver {

struct Target {
  explicit Target(Clock* clock) : memory(clock) {}

  ~Target();

  std::string path;
  std::string dir;  // where the store works: the directory that was opened, whatever stands at
                    // `path` later
  std::string uuid;
  std::string cluster_id;
  std::atomic<uint32_t> id{0};        // 0: not registered yet
  std::unique_ptr<ChunkStore> store;  // null: absent
  std::string problem;                // why it is absent; one line
  std::atomic<bool> removed{false};   // from the cluster, for good: it is reported no more
  ChunkMemory memory;
  // What was acknowledged may be missing here (found at the start): said at the registration.
  std::atomic<bool> lost_changes{false};
  std::atomic<bool> failed{false};  // its disk has: see control/disk_watch.h. Until the next start
  LostChunks lost;                  // see scrub/copy_repair.h
  std::atomic<uint64_t> repaired{0};    // copies, since the start
  std::unique_ptr<WorkerPool> readers;  // reads of this disk wait here

  std::atomic<uint64_t> requests{0};  // of clients and other members: the scrubber yields to them
  int directory_fd = -1;              // what `dir` names

  TargetId target_id() const { return TargetId(id.load(std::memory_order_acquire)); }
  bool is_open() const { return store != nullptr; }
};

// What is wrong with what stands at the target's path now: missing, empty, another's; "" nothing.
// An error: it could not be looked at.
absl::StatusOr<std::string> PlaceProblem(const Target& target, FileSystem* fs);

class Targets {
 public:
  // Opens every target of `options`. A directory that is new and empty, and that `identity` does
  // not know, is formatted; one that it knows but that is missing, empty or foreign becomes an
  // absent target. What was formatted or adopted is added to `identity` and saved.
  static absl::StatusOr<std::unique_ptr<Targets>> Open(const ChunkserverOptions& options,
                                                       const std::string& boot_id,
                                                       ServerIdentity* identity, FileSystem* fs,
                                                       Clock* clock);
  // Of given stores, for tests.
  explicit Targets(std::vector<std::unique_ptr<Target>> targets) : all_(std::move(targets)) {}
  ~Targets();

  // nullptr: not of this server.
  Target* Find(TargetId id) const;
  const std::vector<std::unique_ptr<Target>>& all() const { return all_; }
  // The metaserver's ids, in the order of all(); 0: that target was removed from the cluster.
  // Writes them into the targets' identity files.
  absl::Status AssignIds(const std::vector<TargetId>& ids, FileSystem* fs);
  // Stops the readers, makes everything durable, closes the stores. Nobody may use them any more.
  void Close();

 private:
  const std::vector<std::unique_ptr<Target>> all_;
};

}  // namespace penstock::chunkserver
