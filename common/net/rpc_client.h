// RpcClient talks Penstock RPC (docs/formats/wire.md) to one server through a bounded pool of
// authenticated connections. The calling thread sends and receives itself: no thread hop.
// Thread-safe. A connection is made when needed and closed when idle; after a broken connection
// the next call connects anew.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <absl/types/span.h>
#include <google/protobuf/message.h>
#include <sys/uio.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/net/cluster_key.h"
#include "proto/rpc.pb.h"
#include "proto/types.pb.h"

namespace penstock::net {

class Transport;
class Link;

// Lets another thread end a waiting call (FUSE_INTERRUPT, shutdown). Thread-safe, sticky.
class Interrupt {
 public:
  Interrupt();  // owns an eventfd
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  void Fire();
  bool fired() const { return fired_.load(std::memory_order_acquire); }
  int fd() const { return fd_; }

 private:
  std::atomic<bool> fired_{false};
  int fd_ = -1;
};

struct CallOptions {
  absl::Duration timeout = absl::Seconds(10);  // for the whole call, connecting included
  // To have a connection, else DEADLINE_EXCEEDED: for a request that is worth no long wait.
  absl::Duration start_within = absl::InfiniteDuration();
  const Interrupt* interrupt = nullptr;  // CANCELLED with EINTR once fired
};

struct RpcClientOptions {
  PeerCredentials credentials;
  wire::PeerRole role = wire::ROLE_CLIENT;
  int max_connections = 8;  // per server; more callers wait for a free one
  absl::Duration idle_close = absl::Seconds(60);
  absl::Duration connect_timeout = absl::Seconds(3);
};

// Counts since the client was made.
struct RpcClientCounters {
  std::atomic<uint64_t> calls{0};
  std::atomic<uint64_t> errors{0};     // of any kind, the server's answers included
  std::atomic<uint64_t> abandoned{0};  // deadline, interrupt, or never finished
  std::atomic<uint64_t> payload_bytes_sent{0};
  std::atomic<uint64_t> payload_bytes_received{0};
  std::atomic<uint64_t> connects{0};
  std::atomic<uint64_t> connect_errors{0};
  std::atomic<uint64_t> stale_connections{0};     // found closed by the server before use
  std::atomic<uint64_t> waits_for_connection{0};  // all connections were busy
};

class RpcClient;

// A request under way. Finish() must be called, or the object destroyed (which drains or closes the
// connection: a reply still under way never meets another request). Movable.
class PendingCall {
 public:
  PendingCall();
  PendingCall(PendingCall&&) noexcept;
  PendingCall& operator=(PendingCall&&) noexcept;
  ~PendingCall();
  // Waits for the reply. Its payload goes straight into `into`, in order; `*received` is its
  // length. A payload longer than `into` is an error (DATA_LOSS) and the connection is closed.
  absl::Status Finish(google::protobuf::Message* response, absl::Span<const iovec> into = {},
                      size_t* received = nullptr);
  // Readable once the reply begins to arrive; -1: it is here already, or will never come.
  int fd() const;

 private:
  friend class RpcClient;
  struct State;
  std::unique_ptr<State> state_;
};

class RpcClient {
 public:
  // `transport` must outlive the client. Does not connect yet.
  RpcClient(Transport* transport, std::vector<wire::Address> addresses, RpcClientOptions options);
  ~RpcClient();

  // Sends a request and returns at once; several may be in flight, each on its own connection.
  // The memory of `payload` must stay until the call is finished or destroyed, and so must that of
  // `into`: the same as will be given to Finish, or empty when that is not known yet (over RDMA the
  // reply is then copied once more).
  // UNAVAILABLE: not sent, or may have been sent; DEADLINE_EXCEEDED: no reply in time.
  absl::StatusOr<PendingCall> Start(wire::Method method, const google::protobuf::Message& request,
                                    const CallOptions& options,
                                    absl::Span<const iovec> payload = {},
                                    absl::Span<const iovec> into = {});

  // Start and Finish. An error that the server answered keeps its code, errno and reason.
  absl::Status Call(wire::Method method, const google::protobuf::Message& request,
                    google::protobuf::Message* response, const CallOptions& options,
                    absl::Span<const iovec> payload = {}, absl::Span<const iovec> into = {},
                    size_t* received = nullptr);

  void SetAddresses(std::vector<wire::Address> addresses);  // for new connections
  int open_connections() const;
  // Closes what has been idle for too long. Every call does so too; a program that may stop calling
  // a server runs this now and then.
  void CloseIdle();
  const RpcClientCounters& counters() const;
  std::string transport_name() const;  // of the last connection, "tcp" or "rdma"
  // One word (rdma_failure.h) on why it is not RDMA; empty when it is, or is not wanted.
  std::string why_not_rdma() const;

 private:
  friend class PendingCall;
  struct Pool;
  std::shared_ptr<Pool> pool_;  // shared with calls under way, which may outlive the client
};

}  // namespace penstock::net
