// What the frame fuzzer runs on one input; tests/common/net/fuzz_test.cc runs it on mutated frames.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "common/net/frame_reader.h"
#include "common/net/handshake.h"

namespace penstock::net {

// The bytes as a stream: the first byte of the input decides in which pieces they arrive. A
// server's handshake and then its frames; a client's reply parsing on the same bytes.
inline void FuzzFrameStream(std::string_view bytes) {
  static const PeerCredentials credentials{*ClusterKey::FromHex(std::string(64, '1')), "fuzz"};
  const size_t step = bytes.empty() ? 1 : 1 + static_cast<unsigned char>(bytes[0]) * 16;
  FrameReader reader;
  ServerHandshake handshake(&credentials, std::string(kNonceBytes, 'n'));
  if (!bytes.empty() && (bytes[0] & 1) != 0) reader.SetLimits({1 << 16, 1 << 16});
  std::string payload;
  if (!bytes.empty()) bytes.remove_prefix(1);
  while (true) {
    while (!reader.head_ready()) {
      if (bytes.empty()) return;
      const auto space = reader.Space();
      const size_t take = std::min({space.size(), bytes.size(), step});
      std::memcpy(space.data(), bytes.data(), take);
      bytes.remove_prefix(take);
      if (!reader.Advance(take).ok()) return;
    }
    (void)handshake.OnRequest(reader.header().method, reader.message());
    (void)StatusOfReply(reader.header(), reader.message());
    payload.resize(reader.header().payload_bytes);
    size_t got = reader.TakePayload({payload.data(), payload.size()});
    const size_t direct = std::min(payload.size() - got, bytes.size());
    bytes.remove_prefix(direct);
    if (got + direct < payload.size()) return;
    if (!reader.NextFrame().ok()) return;
  }
}

// The bytes as handshake messages, past the frame's checksum which a fuzzer seldom guesses.
inline void FuzzHandshake(std::string_view bytes) {
  static const PeerCredentials credentials{*ClusterKey::FromHex(std::string(64, '1')), "fuzz"};
  ServerHandshake server(&credentials, std::string(kNonceBytes, 'n'));
  const size_t half = bytes.size() / 2;
  (void)server.OnRequest(wire::METHOD_HELLO, bytes.substr(0, half));
  (void)server.OnRequest(wire::METHOD_PROVE, bytes.substr(half));
  ClientHandshake client(&credentials, wire::ROLE_CLIENT, std::string(kNonceBytes, 'c'));
  wire::HelloReply hello;
  wire::ProveReply prove;
  if (hello.ParseFromArray(bytes.data(), static_cast<int>(half))) (void)client.OnHelloReply(hello);
  if (prove.ParseFromArray(bytes.data() + half, static_cast<int>(bytes.size() - half))) {
    if (client.OnProveReply(prove).ok()) __builtin_trap();  // proved without the key
  }
  if (server.authenticated()) __builtin_trap();
}

}  // namespace penstock::net
