// The handshake that opens every connection (docs/formats/wire.md): both sides prove the cluster
// key over both nonces, the client first. Sans-I/O. A side that got an error closes the connection.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "common/net/cluster_key.h"
#include "proto/rpc.pb.h"

namespace penstock::net {

// Hello -> HelloReply -> Prove -> ProveReply.
class ClientHandshake {
 public:
  // `credentials` must outlive the handshake; `nonce` comes from RandomNonce().
  ClientHandshake(const PeerCredentials* credentials, wire::PeerRole role, std::string nonce);

  wire::Hello hello() const;
  absl::StatusOr<wire::Prove> OnHelloReply(const wire::HelloReply& reply);
  // UNAUTHENTICATED with kAuthentication: the server does not hold the key.
  absl::Status OnProveReply(const wire::ProveReply& reply) const;

 private:
  const PeerCredentials* const credentials_;  // not owned
  const wire::PeerRole role_;
  const std::string nonce_;
  std::string server_nonce_;
};

class ServerHandshake {
 public:
  ServerHandshake(const PeerCredentials* credentials, std::string nonce);

  // One request of the client; returns the reply's message. An error is the refusal to send; it
  // names nothing that the client did not know.
  absl::StatusOr<std::string> OnRequest(uint16_t method, std::string_view message);
  bool authenticated() const { return step_ == Step::kDone; }
  wire::PeerRole role() const { return role_; }

 private:
  enum class Step { kHello, kProve, kDone };
  absl::StatusOr<std::string> OnHello(std::string_view message);
  absl::StatusOr<std::string> OnProve(std::string_view message);

  const PeerCredentials* const credentials_;  // not owned
  const std::string nonce_;
  Step step_ = Step::kHello;
  wire::PeerRole role_ = wire::ROLE_UNKNOWN;
  std::string client_nonce_;
  std::string cluster_id_;  // as the client named it; may be empty
};

}  // namespace penstock::net
