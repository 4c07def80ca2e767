// RpcServer answers Penstock RPC (docs/formats/wire.md): a few reactor threads (epoll) accept,
// check the handshake and read frames; handlers run to completion on the reactor, or move the call
// to a WorkerPool and finish it there. Thread-safe after Start().
#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <absl/types/span.h>
#include <google/protobuf/message.h>
#include <sys/uio.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/latency_histogram.h"
#include "common/net/cluster_key.h"
#include "common/net/payload_buffer.h"
#include "proto/rpc.pb.h"

namespace penstock::net {

class Transport;

struct RpcServerOptions {
  std::string listen_host = "127.0.0.1";  // a literal IP address, "0.0.0.0" for all
  uint16_t port = 0;                      // 0: any free one, see port()
  int reactor_threads = 2;
  PeerCredentials credentials;
  uint32_t max_message_bytes = 4 << 20;
  uint32_t max_payload_bytes = 64 << 20;
  int max_connections = 10000;
  int max_in_flight_per_connection = 64;
  uint64_t payload_memory_bytes = 1ull << 30;  // of request payloads held at once
  absl::Duration handshake_timeout = absl::Seconds(5);
  absl::Duration idle_timeout = absl::Minutes(10);
  std::string program;  // for ping and logs
};

// Counts since the start.
struct RpcServerCounters {
  std::atomic<uint64_t> accepted{0};
  std::atomic<uint64_t> turned_away{0};    // above max_connections
  std::atomic<uint64_t> accept_pauses{0};  // out of descriptors
  std::atomic<uint64_t> refused_handshakes{0};
  std::atomic<uint64_t> bad_frames{0};
  std::atomic<uint64_t> timeouts{0};  // connections closed for silence
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> errors{0};        // requests answered with an error
  std::atomic<uint64_t> memory_waits{0};  // payloads that waited for payload memory
  std::atomic<uint64_t> payload_bytes_received{0};
  std::atomic<uint64_t> payload_bytes_sent{0};
};

// One request on its way to its answer. Finish() exactly once; destroyed unfinished, it answers
// INTERNAL. May be finished from any thread.
class ServerCallContext {
 public:
  virtual ~ServerCallContext() = default;
  virtual std::string_view peer_address() const = 0;  // "ip:port"
  virtual wire::PeerRole peer_role() const = 0;
  // Absolute, from the request's relative deadline at arrival.
  virtual absl::Time deadline() const = 0;
  virtual bool connection_alive() const = 0;
  virtual absl::Span<const char> payload() const = 0;  // of the request
  // Sends status, `response` (when OK) and `payload`.
  virtual void Reply(const absl::Status& status, const google::protobuf::Message* response,
                     PayloadBuffer payload) = 0;
};

template <typename Request, typename Response>
class ServerCall {
 public:
  ServerCall(std::unique_ptr<ServerCallContext> context, Request request)
      : context_(std::move(context)), request_(std::move(request)) {}
  const Request& request() const { return request_; }
  Response& response() { return response_; }
  ServerCallContext& context() { return *context_; }
  absl::Span<const char> payload() const { return context_->payload(); }
  void set_reply_payload(PayloadBuffer payload) { reply_payload_ = std::move(payload); }
  void Finish(const absl::Status& status) {
    context_->Reply(status, status.ok() ? &response_ : nullptr,
                    status.ok() ? std::move(reply_payload_) : PayloadBuffer());
  }

 private:
  std::unique_ptr<ServerCallContext> context_;
  Request request_;
  Response response_;
  PayloadBuffer reply_payload_;
};

class RpcServer {
 public:
  using RawHandler =
      std::function<void(std::unique_ptr<ServerCallContext>, std::string_view message)>;

  RpcServer(Transport* transport, RpcServerOptions options);
  ~RpcServer();

  // Before Start(). The handler runs on a reactor thread: it must not wait; what may wait moves the
  // call into a WorkerPool.
  template <typename Request, typename Response>
  void Handle(wire::Method method,
              std::function<void(std::unique_ptr<ServerCall<Request, Response>>)> handler) {
    HandleRaw(method, [handler = std::move(handler)](std::unique_ptr<ServerCallContext> context,
                                                     std::string_view message) {
      Request request;
      if (!request.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
        context->Reply(absl::InvalidArgumentError("request message cannot be parsed"), nullptr,
                       PayloadBuffer());
        return;
      }
      handler(
          std::make_unique<ServerCall<Request, Response>>(std::move(context), std::move(request)));
    });
  }
  void HandleRaw(wire::Method method, RawHandler handler);

  absl::Status Start();  // binds and listens; port() is known after
  // Stops accepting, lets calls under way finish for up to `grace`, closes everything, joins.
  void Stop(absl::Duration grace = absl::Seconds(5));
  uint16_t port() const;
  uint16_t rdma_port() const;  // 0: RDMA is not served
  int connections() const;
  int rdma_connections() const;  // of them
  const RpcServerCounters& counters() const;
  // From the last byte of a request to its answer's being handed to the connection.
  const LatencyHistogram& times(wire::Method method) const;
  bool Handles(wire::Method method) const;
  uint64_t payload_memory_bytes() const;  // in use

 private:
  struct Core;
  std::unique_ptr<Core> core_;
};

}  // namespace penstock::net
