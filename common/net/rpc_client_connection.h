// One authenticated connection of an RpcClient, used by one call at a time. The calling thread
// waits in here. Not thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/types/span.h>

#include <memory>
#include <string>

#include "common/net/cluster_key.h"
#include "common/net/transport.h"
#include "common/net/wait.h"
#include "proto/rpc.pb.h"

namespace penstock::net {

// What a client accepts in a reply; a cluster map of 10^5 groups is a few MiB.
inline constexpr FrameLimits kClientLimits = {64u << 20, 1u << 30};

class ClientConnection {
 public:
  struct Identity {
    const PeerCredentials* credentials;
    wire::PeerRole role;
  };
  // Connects and goes through the handshake.
  static absl::StatusOr<std::unique_ptr<ClientConnection>> Open(Transport* transport,
                                                                const wire::Address& address,
                                                                const Identity& identity,
                                                                const WaitLimit& limit);

  // Sends the frame. OK although not all was sent when the server has answered already: then
  // answered_early(), and the connection is of no further use after that reply.
  absl::Status Send(OutgoingFrame* frame, const WaitLimit& limit);
  // Waits for the head of the reply to `request_id` (0: of whatever comes).
  absl::Status ReceiveHead(uint64_t request_id, const WaitLimit& limit);
  // Waits for the payload of the current reply; `into` must be at least as long.
  absl::Status ReceivePayload(absl::Span<const iovec> into, const WaitLimit& limit);
  absl::Status NextFrame() { return link_->NextFrame(); }
  const FrameHeader& header() const { return link_->header(); }
  std::string_view message() const { return link_->message(); }

  // Takes the reply to an abandoned request when it is already here and small; else false.
  bool TryDrain(uint64_t request_id);

  uint64_t NextRequestId() { return ++last_request_id_; }
  bool answered_early() const { return answered_early_; }
  bool Stale() { return has_buffered() || link_->Stale(); }
  bool has_buffered() const { return link_->has_buffered(); }
  int fd() const { return link_->fd(); }
  const std::string& peer_address() const { return link_->peer_address(); }
  const wire::Address& address() const { return address_; }  // that was connected to
  std::string_view transport_name() const { return link_->is_rdma() ? "rdma" : "tcp"; }

  absl::Duration last_used;  // on Clock::SinceBoot(); the pool's

 private:
  ClientConnection(wire::Address address, std::unique_ptr<Link> link)
      : address_(std::move(address)), link_(std::move(link)) {}
  // Waits until the link may go on with `events`; returns those it can go on with.
  absl::StatusOr<uint32_t> Wait(uint32_t events, const WaitLimit& limit);
  absl::Status Handshake(const Identity& identity, const WaitLimit& limit);
  absl::Status CheckReply(uint64_t request_id) const;
  // Sends one handshake request and parses its reply.
  absl::Status Exchange(wire::Method method, const google::protobuf::MessageLite& request,
                        google::protobuf::MessageLite* reply, const WaitLimit& limit);

  const wire::Address address_;
  std::unique_ptr<Link> link_;
  uint64_t last_request_id_ = 0;
  bool answered_early_ = false;
};

// A payload of `bytes` in the first bytes of `into`.
IncomingPayload PayloadInto(absl::Span<const iovec> into, size_t bytes);

}  // namespace penstock::net
