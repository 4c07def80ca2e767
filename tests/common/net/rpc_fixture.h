// A server with a few methods, and a client of it, over the transport under test.
#pragma once

#include <absl/synchronization/mutex.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "common/net/rpc_client.h"
#include "common/net/rpc_server.h"
#include "common/status.h"
#include "proto/meta.pb.h"
#include "tests/common/net/transport_under_test.h"

namespace penstock::net {

inline PeerCredentials TestCredentials() {
  static const ClusterKey key = *ClusterKey::FromHex(std::string(64, 'a'));
  return {key, "test-cluster"};
}

// Bytes that tell their place, so that a shift or a mix-up is seen.
inline std::string Pattern(size_t size, uint32_t seed = 1) {
  std::string bytes(size, '\0');
  uint32_t x = seed * 2654435761u + 1;
  for (size_t i = 0; i < size; ++i) {
    x = x * 1664525u + 1013904223u;
    bytes[i] = static_cast<char>(x >> 24);
  }
  return bytes;
}

inline iovec Piece(std::string& bytes) { return {bytes.data(), bytes.size()}; }

// GETXATTR echoes `name` as the value and sends the request's payload back. READLINK fails with the
// errno in `ino`. GETATTR waits until Open() is called and then answers from another thread. STATFS
// is dropped unanswered. LISTXATTR answers from a thread of its own.
class RpcFixture {
 public:
  explicit RpcFixture(RpcServerOptions options = {}) { StartServer(std::move(options)); }
  ~RpcFixture() { StopServer(); }

  void StartServer(RpcServerOptions options = {}) {
    if (options.credentials.cluster_id.empty()) options.credentials = TestCredentials();
    options.program = "test";
    options.listen_host = ServerHost();
    server = std::make_unique<RpcServer>(&transport, options);
    server->Handle<wire::GetxattrRequest, wire::GetxattrResponse>(wire::METHOD_GETXATTR,
                                                                  [this](auto call) {
                                                                    ++handled;
                                                                    Echo(*call);
                                                                  });
    server->Handle<wire::ReadlinkRequest, wire::ReadlinkResponse>(
        wire::METHOD_READLINK, [](auto call) {
          call->Finish(WithReason(PosixError(static_cast<int>(call->request().ino()), "as told"),
                                  Reason::kTruncating));
        });
    server->Handle<wire::GetattrRequest, wire::EntryResponse>(wire::METHOD_GETATTR,
                                                              [this](auto call) {
                                                                absl::MutexLock lock(&mu);
                                                                parked.push_back(std::move(call));
                                                              });
    server->Handle<wire::StatfsRequest, wire::StatfsResponse>(wire::METHOD_STATFS, [](auto) {});
    server->Handle<wire::ListxattrRequest, wire::ListxattrResponse>(
        wire::METHOD_LISTXATTR, [this](auto call) {
          absl::MutexLock lock(&mu);
          threads.emplace_back([call = std::shared_ptr(std::move(call))] {
            call->response().add_names("later");
            PayloadBuffer payload = PayloadBuffer::Allocate(call->payload().size());
            std::copy(call->payload().begin(), call->payload().end(), payload.data());
            call->set_reply_payload(std::move(payload));
            call->Finish(absl::OkStatus());
          });
        });
    REQUIRE(server->Start() == absl::OkStatus());
  }

  void StopServer(absl::Duration grace = absl::Milliseconds(200)) {
    if (server == nullptr) return;
    AnswerParked();
    server->Stop(grace);
    std::vector<std::thread> done;
    {
      absl::MutexLock lock(&mu);
      done.swap(threads);
    }
    for (auto& t : done) t.join();
    server.reset();
  }

  template <typename Call>
  static void Echo(Call& call) {
    call.response().set_value(call.request().name());
    PayloadBuffer payload = PayloadBuffer::Allocate(call.payload().size());
    std::copy(call.payload().begin(), call.payload().end(), payload.data());
    call.set_reply_payload(std::move(payload));
    call.Finish(absl::OkStatus());
  }

  void WaitForParked(size_t count) {  // from any thread, hence INVARIANT
    absl::MutexLock lock(&mu);
    const auto enough = [&] { return parked.size() >= count; };
    INVARIANT(mu.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(10)));
  }
  size_t AnswerParked() {  // how many
    std::vector<std::unique_ptr<ServerCall<wire::GetattrRequest, wire::EntryResponse>>> calls;
    {
      absl::MutexLock lock(&mu);
      calls.swap(parked);
    }
    for (auto& call : calls) {
      call->response().mutable_entry()->mutable_attr()->set_ino(call->request().ino());
      call->Finish(absl::OkStatus());
    }
    return calls.size();
  }

  std::vector<wire::Address> Addresses() const {
    wire::Address address;
    address.set_host(ServerHost());
    address.set_port(server->port());
    address.set_transport(transport.name());
    return {address};
  }
  std::unique_ptr<RpcClient> NewClient(RpcClientOptions options = {}) {
    if (options.credentials.cluster_id.empty()) options.credentials = TestCredentials();
    // rdma_cm asks again after 4 s when an emulated device has lost its first message.
    if (OverRdma()) options.connect_timeout = absl::Seconds(15);
    return std::make_unique<RpcClient>(&transport, Addresses(), options);
  }

  static absl::Status CallEcho(RpcClient& client, std::string payload, std::string* back = nullptr,
                               CallOptions options = {.timeout = absl::Seconds(20),
                                                      .interrupt = nullptr}) {
    wire::GetxattrRequest request;
    request.set_name("n");
    wire::GetxattrResponse response;
    std::string into(payload.size(), '\0');
    size_t received = 0;
    const iovec out = Piece(payload), in = Piece(into);
    absl::Status status = client.Call(wire::METHOD_GETXATTR, request, &response, options, {&out, 1},
                                      {&in, 1}, &received);
    if (status.ok() && (received != payload.size() || into != payload)) {
      return absl::DataLossError("echo differs");
    }
    if (back != nullptr) *back = response.value();
    return status;
  }

  const std::unique_ptr<Transport> owned_transport = NewTransport();
  Transport& transport = *owned_transport;
  absl::Mutex mu;
  std::vector<std::unique_ptr<ServerCall<wire::GetattrRequest, wire::EntryResponse>>> parked;
  std::vector<std::thread> threads;
  std::atomic<int> handled{0};
  std::unique_ptr<RpcServer> server;
};

}  // namespace penstock::net
