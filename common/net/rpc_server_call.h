// A request on its way through the handlers, and what the server does with it itself.
#pragma once

#include <memory>

#include "common/net/rpc_server_connection.h"

namespace penstock::net {

// Bytes of the payload budget that go back when nobody took them.
class PayloadGrant {
 public:
  PayloadGrant(std::shared_ptr<ServerState> state, uint64_t bytes)
      : state_(std::move(state)), bytes_(bytes) {}
  PayloadGrant(const PayloadGrant&) = delete;
  PayloadGrant& operator=(const PayloadGrant&) = delete;
  ~PayloadGrant() {
    if (bytes_ != 0) state_->budget.Release(bytes_);
  }
  uint64_t Take() { return std::exchange(bytes_, 0); }

 private:
  const std::shared_ptr<ServerState> state_;
  uint64_t bytes_;
};

class RequestContext : public ServerCallContext {
 public:
  struct Arrival {
    ReplyTo reply_to;
    absl::Time deadline;
    absl::Time complete;  // when its last byte had come
  };
  // `reserved_bytes` of the payload budget go back when the context does.
  RequestContext(std::shared_ptr<ServerConnection> connection, Arrival arrival,
                 PayloadBuffer payload, uint64_t reserved_bytes);
  ~RequestContext() override;

  std::string_view peer_address() const override { return connection_->peer_address(); }
  wire::PeerRole peer_role() const override { return connection_->role(); }
  absl::Time deadline() const override { return arrival_.deadline; }
  bool connection_alive() const override { return connection_->alive(); }
  absl::Span<const char> payload() const override { return payload_.span(); }
  void Reply(const absl::Status& status, const google::protobuf::Message* response,
             PayloadBuffer payload) override;

 private:
  const std::shared_ptr<ServerConnection> connection_;  // may outlive its socket
  const Arrival arrival_;
  PayloadBuffer payload_;
  const uint64_t reserved_bytes_;
  bool replied_ = false;
};

// Calls the method's handler; answers ping and unknown methods itself.
void HandleRequest(const ServerState& state, uint16_t method,
                   std::unique_ptr<RequestContext> context, std::string_view message);

}  // namespace penstock::net
