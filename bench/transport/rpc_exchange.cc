// Penstock RPC as the client and the chunkserver use it: payloads in PayloadBuffers, one call a
// thread at a time, handlers that answer on the reactor. No disk, no checksum of the payload.
#include <functional>
#include <utility>
#include <vector>

#include "bench/transport/exchange.h"
#include "common/net/payload_buffer.h"
#include "common/net/rdma_transport.h"
#include "common/net/rpc_client.h"
#include "common/net/rpc_server.h"
#include "common/net/tcp_transport.h"
#include "proto/chunk.pb.h"

namespace penstock::bench {
namespace {

using net::PayloadBuffer;

// Both processes have it from their common start; it never leaves the machine.
const net::PeerCredentials& Credentials() {
  static const auto* credentials =
      new net::PeerCredentials{net::ClusterKey::Generate().value(), "bench"};
  return *credentials;
}

using MakeTransport = std::function<std::unique_ptr<net::Transport>()>;

class RpcExchangeServer : public ExchangeServer {
 public:
  RpcExchangeServer(const ExchangeOptions& options, const MakeTransport& make)
      : transport_(make()) {
    net::RpcServerOptions server;
    server.listen_host = options.server_host;
    server.credentials = Credentials();
    server.program = "bench";
    server_ = std::make_unique<net::RpcServer>(transport_.get(), server);
    server_->Handle<wire::ReadChunksRequest, wire::ReadChunksResponse>(
        wire::METHOD_READ_CHUNKS, [](auto call) { Read(*call); });
    server_->Handle<wire::WriteChunksRequest, wire::WriteChunksResponse>(
        wire::METHOD_WRITE_CHUNKS, [](auto call) { Write(*call); });
  }

  absl::StatusOr<uint16_t> Start() override {
    absl::Status status = server_->Start();
    if (!status.ok()) return status;
    return server_->port();
  }

 private:
  // The mark stands in the field `epoch`.
  template <typename Call>
  static void Read(Call& call) {
    const wire::ChunkRead& read = call.request().reads(0);
    call.response().add_results()->set_length(read.length());
    if (read.length() > 0) {
      PayloadBuffer payload = PayloadBuffer::Allocate(read.length());
      Mark(payload.data(), read.length(), read.epoch());
      call.set_reply_payload(std::move(payload));
    }
    call.Finish(absl::OkStatus());
  }

  template <typename Call>
  static void Write(Call& call) {
    const auto payload = call.payload();
    const bool right = Marked(payload.data(), static_cast<uint32_t>(payload.size()),
                              call.request().writes(0).epoch());
    call.response().add_results()->set_length(static_cast<uint32_t>(payload.size()));
    call.Finish(right ? absl::OkStatus() : absl::DataLossError("a request's payload is wrong"));
  }

  const std::unique_ptr<net::Transport> transport_;
  std::unique_ptr<net::RpcServer> server_;
};

class RpcExchange : public Exchange {
 public:
  explicit RpcExchange(net::RpcClient* client) : client_(client) {}

  absl::Status Call(const ExchangeSize& size) override {
    ++mark_;
    return size.send_bytes > 0 ? Write(size.send_bytes) : Read(size.receive_bytes);
  }

 private:
  absl::Status Read(uint32_t bytes) {
    wire::ReadChunksRequest request;
    wire::ReadChunksResponse response;
    wire::ChunkRead& read = *request.add_reads();
    read.set_length(bytes);
    read.set_epoch(mark_);
    Reserve(bytes);
    const iovec into{buffer_.data(), bytes};
    size_t received = 0;
    absl::Status status = client_->Call(wire::METHOD_READ_CHUNKS, request, &response, {}, {},
                                        absl::MakeConstSpan(&into, bytes > 0 ? 1 : 0), &received);
    if (!status.ok()) return status;
    if (received != bytes || !Marked(buffer_.data(), bytes, mark_)) {
      return absl::DataLossError("a reply's payload is wrong");
    }
    return absl::OkStatus();
  }

  absl::Status Write(uint32_t bytes) {
    wire::WriteChunksRequest request;
    wire::WriteChunksResponse response;
    request.add_writes()->set_epoch(mark_);
    Reserve(bytes);
    Mark(buffer_.data(), bytes, mark_);
    const iovec from{buffer_.data(), bytes};
    absl::Status status = client_->Call(wire::METHOD_WRITE_CHUNKS, request, &response, {},
                                        absl::MakeConstSpan(&from, 1));
    if (!status.ok()) return status;
    if (response.results_size() != 1 || response.results(0).length() != bytes) {
      return absl::DataLossError("the server got another length");
    }
    return absl::OkStatus();
  }

  void Reserve(uint32_t bytes) {
    if (buffer_.size() < bytes) buffer_ = PayloadBuffer::Allocate(bytes);
  }

  net::RpcClient* const client_;  // not owned
  PayloadBuffer buffer_;
  uint32_t mark_ = 0;
};

class RpcExchangeClient : public ExchangeClient {
 public:
  RpcExchangeClient(const ExchangeOptions& options, uint16_t port, const MakeTransport& make)
      : transport_(make()) {
    wire::Address address;
    address.set_host(options.server_host);
    address.set_port(port);
    address.set_transport(transport_->name());
    net::RpcClientOptions client;
    client.credentials = Credentials();
    client.max_connections = options.connections;
    client_ = std::make_unique<net::RpcClient>(transport_.get(), std::vector{address}, client);
  }

  absl::StatusOr<std::unique_ptr<Exchange>> Open() override {
    return std::make_unique<RpcExchange>(client_.get());
  }

 private:
  const std::unique_ptr<net::Transport> transport_;
  std::unique_ptr<net::RpcClient> client_;
};

ExchangeKind PenstockRpc(const ExchangeOptions& options, const MakeTransport& make) {
  Credentials();  // made before the processes part; transports are made after
  return {[=] { return std::make_unique<RpcExchangeServer>(options, make); },
          [=](uint16_t port) { return std::make_unique<RpcExchangeClient>(options, port, make); }};
}

}  // namespace

ExchangeKind RpcOverTcp(const ExchangeOptions& options) {
  return PenstockRpc(options, [] { return std::make_unique<net::TcpTransport>(); });
}

ExchangeKind RpcOverRdma(const ExchangeOptions& options) {
  return PenstockRpc(options, [source = options.client_host] {
    return std::make_unique<net::RdmaTransport>(net::RdmaOptions{.source_host = source});
  });
}

}  // namespace penstock::bench
