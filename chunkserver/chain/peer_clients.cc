#include "chunkserver/chain/peer_clients.h"

#include <absl/strings/str_cat.h>

#include <vector>

namespace penstock::chunkserver {

PeerClients::PeerClients(net::Transport* transport, net::PeerCredentials credentials,
                         int connections)
    : transport_(transport), credentials_(std::move(credentials)), connections_(connections) {}

std::shared_ptr<net::RpcClient> PeerClients::Get(const wire::MapServer& server, uint32_t hop) {
  std::string addresses;
  for (const wire::Address& address : server.addresses()) {
    absl::StrAppend(&addresses, address.host(), " ", address.port(), " ", address.transport(),
                    "\n");
  }
  std::vector<wire::Address> list(server.addresses().begin(), server.addresses().end());
  absl::MutexLock lock(&mu_);
  Peer& peer = peers_[{server.server_id(), hop}];
  if (peer.client == nullptr) {
    net::RpcClientOptions options;
    options.credentials = credentials_;
    options.role = wire::ROLE_CHUNKSERVER;
    options.max_connections = connections_;
    options.connect_timeout = absl::Seconds(2);
    peer.client = std::make_shared<net::RpcClient>(transport_, std::move(list), options);
    peer.addresses = std::move(addresses);
  } else if (peer.addresses != addresses) {
    peer.client->SetAddresses(std::move(list));
    peer.addresses = std::move(addresses);
  }
  return peer.client;
}

}  // namespace penstock::chunkserver
