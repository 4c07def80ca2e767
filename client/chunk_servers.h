// ChunkServers sends requests to chunkservers by their id; a test answers them in memory.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <vector>

#include "common/cluster_map.h"
#include "common/ids.h"
#include "common/net/rpc_client.h"

namespace penstock::client {

// Thread-safe.
class ChunkServers {
 public:
  class Reply {
   public:
    virtual ~Reply() = default;
    // As net::PendingCall::Finish.
    virtual absl::Status Finish(google::protobuf::Message* response, absl::Span<const iovec> into,
                                size_t* received) = 0;
    // As net::PendingCall::fd.
    virtual int fd() const = 0;
  };
  virtual ~ChunkServers() = default;
  // As net::RpcClient::Start: the memory of `into` may be written as long as the reply exists. A
  // thread that holds one reply under way takes the next only from a server with a higher id, and
  // one from each: so threads never wait for each other's connections.
  virtual absl::StatusOr<std::unique_ptr<Reply>> Start(ServerId server, wire::Method method,
                                                       const google::protobuf::Message& request,
                                                       const net::CallOptions& options,
                                                       absl::Span<const iovec> payload,
                                                       absl::Span<const iovec> into) = 0;
};

// The real ones: a bounded pool of connections to each server, addresses from the cluster map.
class RpcChunkServers : public ChunkServers {
 public:
  struct Connections {
    ServerId server;
    int open = 0;
    std::string transport;
    std::string why_not_rdma;  // as net::RpcClient::why_not_rdma
  };
  // `transport` and `maps` must outlive it.
  RpcChunkServers(net::Transport* transport, const MapHolder* maps, net::RpcClientOptions options)
      : transport_(transport), maps_(maps), options_(std::move(options)) {}

  absl::StatusOr<std::unique_ptr<Reply>> Start(ServerId server, wire::Method method,
                                               const google::protobuf::Message& request,
                                               const net::CallOptions& options,
                                               absl::Span<const iovec> payload,
                                               absl::Span<const iovec> into) override;
  std::vector<Connections> connections() const;

 private:
  struct Known {
    std::shared_ptr<net::RpcClient> client;
    uint64_t map_version = 0;  // its addresses are from this one
  };
  absl::StatusOr<std::shared_ptr<net::RpcClient>> ClientOf(ServerId server);

  net::Transport* const transport_;
  const MapHolder* const maps_;
  const net::RpcClientOptions options_;
  mutable absl::Mutex mu_;
  absl::flat_hash_map<ServerId, Known> servers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::client
