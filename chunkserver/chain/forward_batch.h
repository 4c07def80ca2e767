// ForwardBatch is one WriteChunks call to the server of the next member, for all chunks of a
// request that go there.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <sys/uio.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chunkserver/chain/chain_write.h"
#include "chunkserver/chain/peer_clients.h"
#include "proto/chunk.pb.h"

namespace penstock::chunkserver {

struct ChainJob;

class ForwardBatch {
 public:
  explicit ForwardBatch(wire::MapServer server) : server_(std::move(server)) {}

  // Adds what `step` (kForward) says: the job's own change, or what is pending as a whole. ABORTED:
  // the call would be too long, or the version is not pending any more.
  absl::Status Add(const ChainJob& job, const ChainStep& step, const MemberView& view);
  // `stop`, once fired, ends the call.
  void Start(PeerClients* peers, absl::Time deadline, const net::Interrupt* stop);
  // The answer to each item, in the order of Add().
  std::vector<absl::Status> Finish();

  std::vector<void*> owners;  // one for each item, the caller's

 private:
  // Room for an item's bytes; the first always has it.
  absl::Status Carry(absl::Span<const char> bytes);
  absl::Status AddPending(const ChainJob& job, const ChainStep& step, wire::ChunkWrite* write);

  const wire::MapServer server_;
  wire::WriteChunksRequest request_;
  std::vector<iovec> payload_;
  uint64_t payload_bytes_ = 0;
  std::vector<std::unique_ptr<std::string>> kept_;  // bytes that the payload points into
  std::shared_ptr<net::RpcClient> client_;
  std::optional<net::PendingCall> call_;
  absl::Status started_;
};

}  // namespace penstock::chunkserver
