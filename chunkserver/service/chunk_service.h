// ChunkService answers METHOD_WRITE_CHUNKS, READ_CHUNKS, STAT_CHUNKS and SYNC_CHUNKS, and between
// members LIST_CHUNKS and FETCH_CHUNK: it checks and decodes a request, moves it to the threads
// where it may wait, and encodes what came of it. An item that fails has its error in its own
// result; the call fails only when it cannot be understood or comes too late.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "chunkserver/chain/pending_settler.h"
#include "chunkserver/chain/write_chain.h"
#include "chunkserver/chunkserver_options.h"
#include "chunkserver/service/fence_table.h"
#include "chunkserver/service/serving_lease.h"
#include "chunkserver/sync/adopted_groups.h"
#include "chunkserver/sync/sync_rules.h"
#include "chunkserver/targets.h"
#include "common/cluster_map.h"
#include "common/net/rpc_server.h"
#include "common/worker_pool.h"
#include "proto/chunk.pb.h"

namespace penstock::chunkserver {

using WriteCall = net::ServerCall<wire::WriteChunksRequest, wire::WriteChunksResponse>;
using ReadCall = net::ServerCall<wire::ReadChunksRequest, wire::ReadChunksResponse>;
using StatCall = net::ServerCall<wire::StatChunksRequest, wire::StatChunksResponse>;
using SyncCall = net::ServerCall<wire::SyncChunksRequest, wire::SyncChunksResponse>;
using ListCall = net::ServerCall<wire::ListChunksRequest, wire::ListChunksResponse>;
using FetchCall = net::ServerCall<wire::FetchChunkRequest, wire::FetchChunkResponse>;

// A chain longer than this is refused.
inline constexpr uint32_t kMaxHops = 6;

class ChunkService {
 public:
  // What the handlers work with; all outlive the service.
  struct Parts {
    const MapHolder* map = nullptr;
    Targets* targets = nullptr;
    WriteChain* chain = nullptr;
    PendingSettler* settler = nullptr;
    FenceTable* fences = nullptr;
    const AdoptedGroups* adopted = nullptr;  // null: leads no exchange
    const ServingLease* lease = nullptr;     // null: it never ends
  };
  ChunkService(const ChunkserverOptions& options, Parts parts);
  ~ChunkService();

  void Install(net::RpcServer* server);  // before the server starts
  void Start();
  void Stop();                                // answers what is queued, then joins
  std::vector<size_t> writes_queued() const;  // by hop

 private:
  // OK while this server may answer: asked when a request is taken up, and once more before an
  // answer that says what is committed here.
  absl::Status MayServe() const;
  // Answers UNAVAILABLE, and says so, while the fences are not known or the lease is over.
  template <typename Call>
  bool TooEarly(Call& call);
  // Answers PERMISSION_DENIED, and says so, when the caller is no chunkserver.
  template <typename Call>
  bool NoMember(Call& call);
  // On a reactor thread: check and hand over.
  void AcceptWrite(std::unique_ptr<WriteCall> call);
  void AcceptRead(std::unique_ptr<ReadCall> call);
  void AcceptStat(std::unique_ptr<StatCall> call);
  void AcceptSync(std::unique_ptr<SyncCall> call);
  void AcceptList(std::unique_ptr<ListCall> call);
  void AcceptFetch(std::unique_ptr<FetchCall> call);
  // On a worker; each in a file of its own.
  void RunWrite(WriteCall& call);
  void RunRead(ReadCall& call);
  void RunStat(StatCall& call);
  void RunSync(SyncCall& call);
  void RunList(ListCall& call);
  void RunFetch(FetchCall& call);
  void ReadOne(const ClusterMap& map, const wire::ChunkRead& read, absl::Span<char> into,
               absl::Time deadline, wire::ChunkResult* result);

  absl::Status ListChunks(const wire::ListChunksRequest& request,
                          wire::ListChunksResponse* response);
  absl::Status FetchChunk(const wire::FetchChunkRequest& request,
                          wire::FetchChunkResponse* response, net::PayloadBuffer* payload);
  // The target that a syncing member asks, when it may answer.
  absl::StatusOr<Target*> FindSource(const Group& group, const SyncQuestion& question) const;

  // The disk workers of the first target that the request names, else of any.
  WorkerPool* ReadersFor(uint32_t target_id) const;
  template <typename Call>
  void Hand(WorkerPool* pool, std::unique_ptr<Call> call, void (ChunkService::*run)(Call&));

  const Parts parts_;
  std::array<std::unique_ptr<WorkerPool>, kMaxHops> writers_;  // by hop (write_chain.h)
  std::unique_ptr<WorkerPool> syncers_;  // wait for barriers, which they share
  std::unique_ptr<WorkerPool> sources_;  // few, and they wait for no chunk's place (group_pass.h)
};

}  // namespace penstock::chunkserver
