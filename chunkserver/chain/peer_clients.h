// PeerClients keeps an RpcClient for each other chunkserver and hop. Work of each hop has
// connections of its own: were they shared, work of hop 0 could hold all of them while it waits for
// hop 1, which waits for one of them. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <string>
#include <utility>

#include "common/ids.h"
#include "common/net/rpc_client.h"
#include "proto/types.pb.h"

namespace penstock::chunkserver {

class PeerClients {
 public:
  // `transport` must outlive it. `connections` for each server and hop.
  PeerClients(net::Transport* transport, net::PeerCredentials credentials, int connections);

  // The client for work that arrives at `server` as `hop`. A change of address is followed.
  std::shared_ptr<net::RpcClient> Get(const wire::MapServer& server, uint32_t hop);

 private:
  struct Peer {
    std::string addresses;  // serialised, to see a change
    std::shared_ptr<net::RpcClient> client;
  };
  net::Transport* const transport_;
  const net::PeerCredentials credentials_;
  const int connections_;
  absl::Mutex mu_;  // innermost
  absl::flat_hash_map<std::pair<uint32_t, uint32_t>, Peer> peers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::chunkserver
