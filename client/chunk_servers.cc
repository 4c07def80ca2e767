#include "client/chunk_servers.h"

#include "common/net/transport.h"
#include "common/status.h"

namespace penstock::client {
namespace {

class RpcReply : public ChunkServers::Reply {
 public:
  RpcReply(std::shared_ptr<net::RpcClient> client, net::PendingCall call)
      : client_(std::move(client)), call_(std::move(call)) {}
  absl::Status Finish(google::protobuf::Message* response, absl::Span<const iovec> into,
                      size_t* received) override {
    return call_.Finish(response, into, received);
  }
  int fd() const override { return call_.fd(); }

 private:
  const std::shared_ptr<net::RpcClient> client_;
  net::PendingCall call_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ChunkServers::Reply>> RpcChunkServers::Start(
    ServerId server, wire::Method method, const google::protobuf::Message& request,
    const net::CallOptions& options, absl::Span<const iovec> payload,
    absl::Span<const iovec> into) {
  ASSIGN_OR_RETURN(std::shared_ptr<net::RpcClient> client, ClientOf(server));
  ASSIGN_OR_RETURN(net::PendingCall call, client->Start(method, request, options, payload, into));
  return std::make_unique<RpcReply>(std::move(client), std::move(call));
}

absl::StatusOr<std::shared_ptr<net::RpcClient>> RpcChunkServers::ClientOf(ServerId server) {
  std::shared_ptr<const ClusterMap> map = maps_->Get();
  absl::MutexLock lock(&mu_);
  Known& known = servers_[server];
  if (known.client != nullptr && known.map_version == map->version()) return known.client;
  const wire::MapServer* info = map->FindServer(server);
  if (info == nullptr || info->addresses().empty()) {
    return absl::UnavailableError(absl::StrCat("server ", server.value(), " has no address"));
  }
  std::vector<wire::Address> addresses(info->addresses().begin(), info->addresses().end());
  if (known.client == nullptr) {
    known.client = std::make_shared<net::RpcClient>(transport_, std::move(addresses), options_);
  } else {
    known.client->SetAddresses(std::move(addresses));
  }
  known.map_version = map->version();
  return known.client;
}

std::vector<RpcChunkServers::Connections> RpcChunkServers::connections() const {
  absl::MutexLock lock(&mu_);
  std::vector<Connections> all;
  for (const auto& [id, known] : servers_) {
    if (known.client == nullptr) continue;
    all.push_back({id, known.client->open_connections(), known.client->transport_name(),
                   known.client->why_not_rdma()});
  }
  return all;
}

}  // namespace penstock::client
