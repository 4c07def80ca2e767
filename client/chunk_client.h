// ChunkClient reads and changes chunks on the chunkservers (DESIGN.md section 6): it finds a
// chunk's group in the cluster map, sends to the right member, checks what comes back, and repeats
// with a fresher map until the I/O timeout. Thread-safe; the calling thread sends and receives
// itself.
//
// - A read goes to any in-sync member, spread by chunk; an error goes to the others; what takes
//   much longer than usual is asked of another one as well; a member with a pending version sends
//   the read to the tail. An absent or short chunk is believed only when all in-sync members that
//   can be reached agree.
// - A change goes to the head, always with its one stamp, so a repeat happens once.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include "client/chunk_api.h"
#include "client/chunk_pieces.h"
#include "client/chunk_servers.h"
#include "client/read_pace.h"
#include "common/cluster_map.h"

namespace penstock::client {

struct ChunkClientOptions {
  absl::Duration io_timeout = absl::Seconds(60);
  absl::Duration read_try = absl::Milliseconds(2500);  // a later reply is not used (section 6)
  absl::Duration change_try = absl::Seconds(15);       // of one request to a head
  absl::Duration suspect_for = absl::Seconds(1);       // a server that failed is asked last
  ReadPaceOptions pace;
};

class ChunkClient : public ChunkApi {
 public:
  // `maps` and `servers` must outlive the client.
  ChunkClient(const MapHolder* maps, ChunkServers* servers, ChunkClientOptions options)
      : maps_(maps), servers_(servers), options_(options), pace_(options.pace) {}

  absl::StatusOr<ReadOutcome> Read(const FileLayout& layout, uint64_t offset, absl::Span<char> into,
                                   const OpContext& op) override;
  absl::StatusOr<ChunkChanged> Write(const FileLayout& layout, const ChunkPut& put,
                                     const OpContext& op) override;
  absl::StatusOr<std::vector<ChunkChanged>> Change(const FileLayout& layout,
                                                   absl::Span<const ChunkCut> cuts,
                                                   const OpContext& op) override;
  absl::Status Sync(const FileLayout& layout, absl::Span<const IndexedVersion> versions,
                    const OpContext& op) override;
  absl::StatusOr<std::vector<StoredChunk>> Stat(const FileLayout& layout, uint32_t first,
                                                uint32_t count, const OpContext& op) override;

  const ReadPace& pace() const { return pace_; }

 private:
  class Tries;  // the deadline, pauses and last error of one call
  struct Member {
    TargetId target;
    ServerId server;
    uint32_t epoch = 0;
  };
  struct ReadTarget {  // one chunk's range and the member that is asked
    ChunkKey key;
    uint32_t storage_class = 0;
    ChunkPiece piece;
    absl::Span<char> into;
    Member member;
    absl::Duration started;  // Clock::SinceBoot()
  };
  struct Batch;  // items of one call that go to one server together

  // chunk_members.cc
  std::vector<Member> InSyncMembers(const ClusterMap& map, uint32_t storage_class,
                                    uint32_t position) const;  // head to tail
  std::vector<Member> ReadOrder(const ClusterMap& map, uint32_t storage_class,
                                const ChunkKey& key) const;
  void Suspect(ServerId server);
  bool Suspected(ServerId server) const;

  // chunk_read.cc
  absl::StatusOr<std::unique_ptr<ChunkServers::Reply>> StartRead(
      ReadTarget& read, const OpContext& op,
      absl::Duration start_within = absl::InfiniteDuration());
  absl::StatusOr<wire::ChunkResult> FinishRead(const ReadTarget& read, ChunkServers::Reply* reply);
  absl::StatusOr<wire::ChunkResult> ReadOnce(ReadTarget& read, const OpContext& op);
  std::vector<bool> ReadTogether(std::vector<ReadTarget>& reads, const OpContext& op);
  absl::StatusOr<bool> ReadWithRetries(ReadTarget read, const OpContext& op);
  absl::StatusOr<bool> ReadRound(ReadTarget& read, const OpContext& op, int* disagreements);
  absl::Status ConfirmShort(const ReadTarget& read, const wire::ChunkResult& result,
                            const std::vector<Member>& members, const OpContext& op);

  // chunk_hedge.cc
  absl::StatusOr<wire::ChunkResult> AwaitRead(ReadTarget& read,
                                              std::unique_ptr<ChunkServers::Reply> reply,
                                              const OpContext& op);
  absl::StatusOr<wire::ChunkResult> TakeReply(const ReadTarget& read, ChunkServers::Reply* reply);
  static size_t WaitBegun(absl::Span<ChunkServers::Reply* const> replies, absl::Duration until,
                          const OpContext& op);
  std::unique_ptr<ChunkServers::Reply> StartHedge(const ReadTarget& slow, ReadTarget* other,
                                                  const OpContext& op);

  // chunk_batch.cc
  absl::Status RunBatches(std::vector<Batch>& batches, const OpContext& op);
  void NoteFailure(ServerId server, const absl::Status& status);

  const MapHolder* const maps_;
  ChunkServers* const servers_;
  const ChunkClientOptions options_;
  ReadPace pace_;
  mutable absl::Mutex mu_;  // innermost
  absl::flat_hash_map<ServerId, absl::Time> suspects_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::client
