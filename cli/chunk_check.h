// ChunkCheck asks every member of a chunk's group for its copy and says whether the copies hold.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <vector>

#include "common/cluster_map.h"
#include "common/net/cluster_key.h"
#include "common/net/rpc_client.h"
#include "common/net/tcp_transport.h"
#include "common/placement.h"
#include "proto/chunk.pb.h"

namespace penstock::cli {

enum class CopyState {
  kHolds,        // its checksums hold
  kAbsent,       // this member has no such chunk
  kUnreachable,  // no answer; nothing is known of it
  kDamaged,      // checksums do not hold, or it is quarantined
  kDiffers,      // another version or length than the others, or absent while they have it
  kWriting,      // a write is on its way through the chain
};
const char* CopyStateName(CopyState state);

struct Copy {
  TargetId target;
  ServerId server;
  std::string server_address;
  std::string path;  // of the target
  CopyState state = CopyState::kUnreachable;
  ChunkVersion version;
  uint32_t length_bytes = 0;  // logical
  uint32_t stored_bytes = 0;
  std::string message;  // of an error
};

struct CheckedChunk {
  ChunkKey key;
  uint32_t group = 0;
  uint32_t epoch = 0;
  std::vector<Copy> copies;  // head to tail
  bool hole() const;         // no member has it
  bool holds() const;        // every copy is well
};

// Decides what the copies say about each other; `copies` have kHolds, kAbsent, ... from their own
// answers. `pending[i]`: member i has a write under way.
void CompareCopies(std::vector<Copy>& copies, const std::vector<bool>& pending);

class ChunkCheck {
 public:
  ChunkCheck(std::shared_ptr<const ClusterMap> map, FileLayout layout,
             net::PeerCredentials credentials);
  // Chunks first .. first+count-1; `verify` reads every byte.
  absl::StatusOr<std::vector<CheckedChunk>> Check(uint32_t first, uint32_t count, bool verify);

 private:
  struct Ask;
  absl::StatusOr<CheckedChunk> Describe(uint32_t index) const;
  net::RpcClient& ClientOf(ServerId server);
  void AskServer(ServerId server, const std::vector<Ask>& asks, bool verify);

  const std::shared_ptr<const ClusterMap> map_;
  const FileLayout layout_;
  const net::PeerCredentials credentials_;
  net::TcpTransport transport_;
  absl::flat_hash_map<ServerId, std::unique_ptr<net::RpcClient>> clients_;
};

}  // namespace penstock::cli
