#include "common/net/handshake.h"

#include <absl/strings/str_cat.h>

#include "common/net/frame.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr std::string_view kClientLabel = "penstock client v1";
constexpr std::string_view kServerLabel = "penstock server v1";

// Everything that Hello and its reply said; a proof over it leaves nothing to change on the way.
struct Transcript {
  std::string_view client_nonce;
  std::string_view server_nonce;
  wire::PeerRole role;          // the client's
  std::string_view cluster_id;  // as in Hello
};

// The parts before the cluster id have fixed lengths, so no two transcripts share these bytes.
std::string ProofInput(std::string_view label, const Transcript& t) {
  std::string input(label);
  input.append(t.client_nonce).append(t.server_nonce);
  input.push_back(static_cast<char>(kProtocolVersion));
  input.push_back(static_cast<char>(t.role));
  return input.append(t.cluster_id);
}

absl::Status WrongKey(absl::string_view message) {
  return WithReason(absl::UnauthenticatedError(message), Reason::kAuthentication);
}

absl::Status WrongVersion(uint32_t theirs) {
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "peer speaks protocol version ", theirs, ", this side ", kProtocolVersion)),
                    Reason::kProtocolVersion);
}

template <typename Message>
bool Parse(Message& message, std::string_view bytes) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

ClientHandshake::ClientHandshake(const PeerCredentials* credentials, wire::PeerRole role,
                                 std::string nonce)
    : credentials_(credentials), role_(role), nonce_(std::move(nonce)) {}

wire::Hello ClientHandshake::hello() const {
  wire::Hello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_cluster_id(credentials_->cluster_id);
  hello.set_nonce(nonce_);
  hello.set_role(role_);
  return hello;
}

absl::StatusOr<wire::Prove> ClientHandshake::OnHelloReply(const wire::HelloReply& reply) {
  if (reply.protocol_version() != kProtocolVersion) return WrongVersion(reply.protocol_version());
  if (reply.nonce().size() != kNonceBytes || reply.nonce() == nonce_) {
    return WrongKey("server sent no proper nonce");
  }
  server_nonce_ = reply.nonce();
  wire::Prove prove;
  prove.set_proof(credentials_->key.Prove(
      ProofInput(kClientLabel, {nonce_, server_nonce_, role_, credentials_->cluster_id})));
  return prove;
}

absl::Status ClientHandshake::OnProveReply(const wire::ProveReply& reply) const {
  if (server_nonce_.empty() ||
      !credentials_->key.Verify(
          ProofInput(kServerLabel, {nonce_, server_nonce_, role_, credentials_->cluster_id}),
          reply.proof())) {
    return WrongKey("server cannot prove the cluster key");
  }
  return absl::OkStatus();
}

ServerHandshake::ServerHandshake(const PeerCredentials* credentials, std::string nonce)
    : credentials_(credentials), nonce_(std::move(nonce)) {}

absl::StatusOr<std::string> ServerHandshake::OnRequest(uint16_t method, std::string_view message) {
  if (step_ == Step::kHello && method == wire::METHOD_HELLO) return OnHello(message);
  if (step_ == Step::kProve && method == wire::METHOD_PROVE) return OnProve(message);
  return WrongKey("prove the cluster key first");
}

absl::StatusOr<std::string> ServerHandshake::OnHello(std::string_view message) {
  wire::Hello hello;
  if (!Parse(hello, message)) return WrongKey("hello cannot be parsed");
  if (hello.protocol_version() != kProtocolVersion) return WrongVersion(hello.protocol_version());
  if (!hello.cluster_id().empty() && hello.cluster_id() != credentials_->cluster_id) {
    return WithReason(absl::FailedPreconditionError("this server belongs to another cluster"),
                      Reason::kWrongCluster);
  }
  if (hello.nonce().size() != kNonceBytes) return WrongKey("hello without a proper nonce");
  client_nonce_ = hello.nonce();
  cluster_id_ = hello.cluster_id();
  role_ = hello.role();
  step_ = Step::kProve;
  // The cluster id stays unsaid: whoever asks has proved nothing yet.
  wire::HelloReply reply;
  reply.set_protocol_version(kProtocolVersion);
  reply.set_nonce(nonce_);
  return reply.SerializeAsString();
}

absl::StatusOr<std::string> ServerHandshake::OnProve(std::string_view message) {
  wire::Prove prove;
  const Transcript transcript{client_nonce_, nonce_, role_, cluster_id_};
  if (!Parse(prove, message) ||
      !credentials_->key.Verify(ProofInput(kClientLabel, transcript), prove.proof())) {
    return WrongKey("wrong cluster key");
  }
  step_ = Step::kDone;
  wire::ProveReply reply;
  reply.set_proof(credentials_->key.Prove(ProofInput(kServerLabel, transcript)));
  return reply.SerializeAsString();
}

}  // namespace penstock::net
