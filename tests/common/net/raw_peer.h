// A peer of an RpcServer that may send anything.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>

#include "common/net/handshake.h"
#include "common/status.h"
#include "tests/common/net/rpc_fixture.h"

namespace penstock::net {

class RawPeer {
 public:
  explicit RawPeer(const wire::Address& address) {
    auto connected = transport_->Connect(address, In(absl::Seconds(15)));
    REQUIRE(connected.ok());
    link_ = std::move(*connected);
    link_->SetLimits({1 << 20, 1 << 30});
  }

  // As much as goes out within a second; false when the server closed.
  bool SendBytes(std::string bytes) {
    OutgoingFrame frame;
    frame.head = std::move(bytes);
    return SendAll(*link_, &frame);
  }

  // The next reply's status; UNAVAILABLE when the server closed, DEADLINE_EXCEEDED for silence.
  absl::Status ReadStatus(absl::Duration patience = absl::Seconds(10)) {
    RETURN_IF_ERROR(Receive(patience));
    absl::Status status = StatusOfReply(link_->header(), link_->message());
    RETURN_IF_ERROR(link_->NextFrame());
    return status;
  }
  absl::Status Receive(absl::Duration patience = absl::Seconds(10)) {
    while (true) {
      ASSIGN_OR_RETURN(const Progress progress, link_->ReceiveHead());
      if (progress == Progress::kDone) return absl::OkStatus();
      RETURN_IF_ERROR(AwaitReceive(*link_, patience));
    }
  }
  bool ClosedByServer(absl::Duration patience = absl::Seconds(10)) {
    return absl::IsUnavailable(ReadStatus(patience));
  }

  static std::string Frame(uint16_t method, std::string_view message, uint32_t payload_bytes = 0,
                           uint64_t id = 1) {
    FrameHeader header;
    header.method = method;
    header.request_id = id;
    header.payload_bytes = payload_bytes;
    return EncodeFrame(header, message);
  }

  void Authenticate(const PeerCredentials& credentials = TestCredentials()) {
    ClientHandshake handshake(&credentials, wire::ROLE_CLIENT, RandomNonce());
    REQUIRE(SendBytes(Frame(wire::METHOD_HELLO, handshake.hello().SerializeAsString())));
    REQUIRE(Receive() == absl::OkStatus());
    wire::HelloReply hello_reply;
    REQUIRE(hello_reply.ParseFromString(std::string(link_->message())));
    REQUIRE(link_->NextFrame() == absl::OkStatus());
    REQUIRE(SendBytes(
        Frame(wire::METHOD_PROVE, handshake.OnHelloReply(hello_reply)->SerializeAsString(), 0, 2)));
    REQUIRE(Receive() == absl::OkStatus());
    REQUIRE(StatusOfReply(link_->header(), link_->message()) == absl::OkStatus());
    REQUIRE(link_->NextFrame() == absl::OkStatus());
  }

  Link& link() { return *link_; }

 private:
  const std::unique_ptr<Transport> transport_ = NewTransport();
  std::unique_ptr<Link> link_;
};

}  // namespace penstock::net
