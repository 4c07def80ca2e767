// Exchange is one request and its reply, over whatever is measured. The server is a process of its
// own, so that each side's processor time can be told from the other's.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace penstock::bench {

// What one request carries. Payloads bear a mark at both ends, which the receiver compares.
struct ExchangeSize {
  uint32_t send_bytes = 0;     // payload of the request
  uint32_t receive_bytes = 0;  // payload of the reply
};

// One thread's requests, one after the other. Not thread-safe: each thread has its own.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // DATA_LOSS: what came back is not what was asked for.
  virtual absl::Status Call(const ExchangeSize& size) = 0;
};

struct ExchangeOptions {
  std::string server_host = "127.0.0.1";  // a literal IPv4 address
  std::string client_host;                // RDMA: to come from; empty: what the route says
  int connections = 8;                    // of the client to the server, at most
};

// Answers exchanges until the process ends.
class ExchangeServer {
 public:
  virtual ~ExchangeServer() = default;
  virtual absl::StatusOr<uint16_t> Start() = 0;  // returns the port
};

class ExchangeClient {
 public:
  virtual ~ExchangeClient() = default;
  virtual absl::StatusOr<std::unique_ptr<Exchange>> Open() = 0;
};

// One thing to measure. Both functions are called after the processes have parted.
struct ExchangeKind {
  std::function<std::unique_ptr<ExchangeServer>()> server;
  std::function<std::unique_ptr<ExchangeClient>(uint16_t port)> client;
};

// Plain sockets, a thread a connection, nothing checked but the marks: what the kernel's TCP gives.
ExchangeKind PlainSockets(const ExchangeOptions& options);
// Penstock RPC.
ExchangeKind RpcOverTcp(const ExchangeOptions& options);
ExchangeKind RpcOverRdma(const ExchangeOptions& options);

// Writes `mark` at both ends of a payload, and compares it.
void Mark(char* data, uint32_t bytes, uint32_t mark);
bool Marked(const char* data, uint32_t bytes, uint32_t mark);

}  // namespace penstock::bench
