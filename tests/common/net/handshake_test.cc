#include "common/net/handshake.h"

#include <absl/strings/escaping.h>

#include <catch2/catch.hpp>

#include "common/status.h"

namespace penstock::net {
namespace {

const std::string kNonceC(32, 'c');
const std::string kNonceS(32, 's');

PeerCredentials Credentials(char key_digit = 'a', std::string cluster = "blue") {
  return {*ClusterKey::FromHex(std::string(64, key_digit)), std::move(cluster)};
}

// Runs both sides; the first error of either.
absl::Status Shake(const PeerCredentials& client_side, const PeerCredentials& server_side) {
  ClientHandshake client(&client_side, wire::ROLE_CLIENT, kNonceC);
  ServerHandshake server(&server_side, kNonceS);
  ASSIGN_OR_RETURN(std::string hello_bytes,
                   server.OnRequest(wire::METHOD_HELLO, client.hello().SerializeAsString()));
  REQUIRE_FALSE(server.authenticated());
  // Nothing of the server's in its first answer but its nonce and version.
  REQUIRE(hello_bytes.find(server_side.cluster_id) == std::string::npos);
  wire::HelloReply hello_reply;
  REQUIRE(hello_reply.ParseFromString(hello_bytes));
  ASSIGN_OR_RETURN(wire::Prove prove, client.OnHelloReply(hello_reply));
  ASSIGN_OR_RETURN(std::string proof_bytes,
                   server.OnRequest(wire::METHOD_PROVE, prove.SerializeAsString()));
  REQUIRE(server.authenticated());
  REQUIRE(server.role() == wire::ROLE_CLIENT);
  wire::ProveReply prove_reply;
  REQUIRE(prove_reply.ParseFromString(proof_bytes));
  return client.OnProveReply(prove_reply);
}

TEST_CASE("peers with one key and cluster recognise each other", "[net][handshake]") {
  REQUIRE(Shake(Credentials(), Credentials()) == absl::OkStatus());
}

TEST_CASE("a client that does not know the cluster id yet proves the key alone",
          "[net][handshake]") {
  REQUIRE(Shake(Credentials('a', ""), Credentials()) == absl::OkStatus());
  REQUIRE(ReasonOf(Shake(Credentials('b', ""), Credentials())) == Reason::kAuthentication);
}

TEST_CASE("wrong key and wrong cluster have their own reasons", "[net][handshake]") {
  const absl::Status key = Shake(Credentials('b'), Credentials());
  REQUIRE(absl::IsUnauthenticated(key));
  REQUIRE(ReasonOf(key) == Reason::kAuthentication);
  const absl::Status cluster = Shake(Credentials('a', "red"), Credentials());
  REQUIRE(absl::IsFailedPrecondition(cluster));
  REQUIRE(ReasonOf(cluster) == Reason::kWrongCluster);
  REQUIRE(cluster.message().find("blue") == absl::string_view::npos);
}

TEST_CASE("another protocol version is refused by both sides", "[net][handshake]") {
  const PeerCredentials credentials = Credentials();
  ServerHandshake server(&credentials, kNonceS);
  ClientHandshake client(&credentials, wire::ROLE_CLIENT, kNonceC);
  wire::Hello hello = client.hello();
  hello.set_protocol_version(2);
  REQUIRE(ReasonOf(server.OnRequest(wire::METHOD_HELLO, hello.SerializeAsString()).status()) ==
          Reason::kProtocolVersion);
  wire::HelloReply reply;
  reply.set_protocol_version(2);
  reply.set_nonce(kNonceS);
  REQUIRE(ReasonOf(client.OnHelloReply(reply).status()) == Reason::kProtocolVersion);
}

TEST_CASE("the client refuses a server that cannot prove the key", "[net][handshake]") {
  const PeerCredentials credentials = Credentials();
  ClientHandshake client(&credentials, wire::ROLE_CLIENT, kNonceC);
  wire::HelloReply reply;
  reply.set_protocol_version(1);
  SECTION("no nonce") {
    REQUIRE(ReasonOf(client.OnHelloReply(reply).status()) == Reason::kAuthentication);
  }
  SECTION("the client's own nonce") {
    reply.set_nonce(kNonceC);
    REQUIRE(ReasonOf(client.OnHelloReply(reply).status()) == Reason::kAuthentication);
  }
  SECTION("the client's own proof sent back") {
    reply.set_nonce(kNonceS);
    auto prove = client.OnHelloReply(reply);
    REQUIRE(prove.ok());
    wire::ProveReply echoed;
    echoed.set_proof(prove->proof());
    REQUIRE(ReasonOf(client.OnProveReply(echoed)) == Reason::kAuthentication);
    REQUIRE(ReasonOf(client.OnProveReply(wire::ProveReply())) == Reason::kAuthentication);
  }
  SECTION("a proof before the nonces") {
    wire::ProveReply early;
    early.set_proof(std::string(32, 'x'));
    REQUIRE(ReasonOf(client.OnProveReply(early)) == Reason::kAuthentication);
  }
}

TEST_CASE("the server answers only hello, then only prove", "[net][handshake]") {
  const PeerCredentials credentials = Credentials();
  const std::string hello =
      ClientHandshake(&credentials, wire::ROLE_CLIENT, kNonceC).hello().SerializeAsString();
  for (int method = 0; method < 100; ++method) {
    ServerHandshake server(&credentials, kNonceS);
    if (method != wire::METHOD_HELLO) {
      REQUIRE(ReasonOf(server.OnRequest(static_cast<uint16_t>(method), hello).status()) ==
              Reason::kAuthentication);
    }
    ServerHandshake after_hello(&credentials, kNonceS);
    REQUIRE(after_hello.OnRequest(wire::METHOD_HELLO, hello).ok());
    REQUIRE(ReasonOf(after_hello.OnRequest(static_cast<uint16_t>(method), "").status()) ==
            Reason::kAuthentication);
    REQUIRE_FALSE(after_hello.authenticated());
  }
}

// The worked example of docs/formats/wire.md.
TEST_CASE("proofs are those of the format page", "[net][handshake]") {
  const PeerCredentials credentials = Credentials('0', "example");
  ClientHandshake client(&credentials, wire::ROLE_CLIENT, kNonceC);
  wire::HelloReply reply;
  reply.set_protocol_version(1);
  reply.set_nonce(kNonceS);
  REQUIRE(absl::BytesToHexString(client.OnHelloReply(reply)->proof()) ==
          "c654ae80537ef76030834dfdd5f9261452728faeabdc9cc157e74ba25089f0ec");
  ServerHandshake server(&credentials, kNonceS);
  REQUIRE(server.OnRequest(wire::METHOD_HELLO, client.hello().SerializeAsString()).ok());
  auto proof =
      server.OnRequest(wire::METHOD_PROVE, client.OnHelloReply(reply)->SerializeAsString());
  REQUIRE(proof.ok());
  wire::ProveReply prove_reply;
  REQUIRE(prove_reply.ParseFromString(*proof));
  REQUIRE(absl::BytesToHexString(prove_reply.proof()) ==
          "64ee1195722e50f84464a5401b96c8aa14b81e07af8bb1854cd0b2e8c6f88d2b");
}

}  // namespace
}  // namespace penstock::net
