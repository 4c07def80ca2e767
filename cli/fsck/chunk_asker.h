// ChunkAsker asks chunkservers, over Penstock RPC, what the in-sync members of a group have. Calls
// have deadlines and are tried again under a newer map. Not thread-safe.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <vector>

#include "cli/fsck/copy_compare.h"
#include "common/cluster_map.h"
#include "common/net/cluster_key.h"
#include "common/net/rpc_client.h"
#include "common/net/tcp_transport.h"

namespace penstock::cli {

class ChunkAsker {
 public:
  using FetchMap = std::function<absl::StatusOr<wire::ClusterMap>()>;  // the whole one
  ChunkAsker(FetchMap fetch_map, net::ClusterKey key);

  absl::Status RefreshMap();
  const ClusterMap& map() const { return *map_; }

  // Every chunk that an in-sync member has, in order, with what each of these members has of it.
  // After an error under way the group is begun anew, a few times: rows may come twice.
  absl::Status Scan(
      GroupId group,
      absl::FunctionRef<absl::Status(const ChunkKey&, const std::vector<CopySeen>&)> visit);
  // What each in-sync member has of one chunk.
  absl::StatusOr<std::vector<CopySeen>> Ask(uint32_t storage_class, const ChunkKey& key);

 private:
  class MemberList;
  struct Member {
    TargetId target;
    uint32_t epoch = 0;
    net::RpcClient* client = nullptr;
  };
  absl::StatusOr<std::vector<Member>> InSync(const Group& group);
  absl::Status ScanOnce(
      const Group& group,
      absl::FunctionRef<absl::Status(const ChunkKey&, const std::vector<CopySeen>&)> visit);
  absl::StatusOr<std::vector<CopySeen>> AskOnce(const Group& group, const ChunkKey& key);

  const FetchMap fetch_map_;
  const net::ClusterKey key_;
  std::shared_ptr<ClusterMap> map_ = std::make_shared<ClusterMap>();
  net::TcpTransport transport_;
  absl::flat_hash_map<ServerId, std::unique_ptr<net::RpcClient>> clients_;
};

}  // namespace penstock::cli
