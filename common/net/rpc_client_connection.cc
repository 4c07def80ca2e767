#include "common/net/rpc_client_connection.h"

#include <absl/strings/str_cat.h>
#include <poll.h>

#include "common/net/handshake.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr size_t kCheapDrainBytes = 64 * 1024;

// What came is no frame of this protocol: to the caller the connection broke, and trying again is
// safe. A version mismatch will not go away by itself and stays what it is.
absl::Status AsBroken(const absl::Status& status) {
  if (!absl::IsInvalidArgument(status)) return status;
  return absl::UnavailableError(status.message());
}

}  // namespace

IncomingPayload PayloadInto(absl::Span<const iovec> into, size_t bytes) {
  IncomingPayload payload;
  for (const iovec& part : into) {
    if (bytes == 0) break;
    const size_t take = std::min(part.iov_len, bytes);
    if (take != 0) payload.into.push_back({part.iov_base, take});
    bytes -= take;
  }
  return payload;
}

absl::StatusOr<std::unique_ptr<ClientConnection>> ClientConnection::Open(
    Transport* transport, const wire::Address& address, const Identity& identity,
    const WaitLimit& limit) {
  ASSIGN_OR_RETURN(auto link, transport->Connect(address, limit));
  std::unique_ptr<ClientConnection> connection(new ClientConnection(address, std::move(link)));
  if (absl::Status shaken = connection->Handshake(identity, limit); !shaken.ok()) {
    return Annotate(shaken, absl::StrCat("handshake with ", connection->peer_address()));
  }
  return connection;
}

absl::Status ClientConnection::Handshake(const Identity& identity, const WaitLimit& limit) {
  link_->SetLimits(kHandshakeLimits);
  ClientHandshake handshake(identity.credentials, identity.role, RandomNonce());
  wire::HelloReply hello_reply;
  RETURN_IF_ERROR(Exchange(wire::METHOD_HELLO, handshake.hello(), &hello_reply, limit));
  ASSIGN_OR_RETURN(wire::Prove prove, handshake.OnHelloReply(hello_reply));
  wire::ProveReply prove_reply;
  RETURN_IF_ERROR(Exchange(wire::METHOD_PROVE, prove, &prove_reply, limit));
  RETURN_IF_ERROR(handshake.OnProveReply(prove_reply));
  link_->SetLimits(kClientLimits);
  return absl::OkStatus();
}

absl::Status ClientConnection::Exchange(wire::Method method,
                                        const google::protobuf::MessageLite& request,
                                        google::protobuf::MessageLite* reply,
                                        const WaitLimit& limit) {
  FrameHeader header;
  header.method = static_cast<uint16_t>(method);
  header.request_id = NextRequestId();
  OutgoingFrame frame;
  frame.head = EncodeFrame(header, &request);
  RETURN_IF_ERROR(Send(&frame, limit));
  RETURN_IF_ERROR(ReceiveHead(header.request_id, limit));
  RETURN_IF_ERROR(StatusOfReply(link_->header(), link_->message()));
  if (!reply->ParseFromArray(link_->message().data(), static_cast<int>(link_->message().size()))) {
    return absl::UnavailableError("handshake reply cannot be parsed");
  }
  return link_->NextFrame();
}

absl::StatusOr<uint32_t> ClientConnection::Wait(uint32_t events, const WaitLimit& limit) {
  ASSIGN_OR_RETURN(const short ready,
                   WaitFor(link_->fd(), static_cast<short>(link_->WaitEvents(events)), limit));
  return link_->Ready(static_cast<uint32_t>(ready));
}

absl::Status ClientConnection::Send(OutgoingFrame* frame, const WaitLimit& limit) {
  while (true) {
    absl::StatusOr<Progress> progress = link_->Send(frame);
    if (!progress.ok()) {
      // The server may have refused and closed while this side was still sending.
      auto reply = link_->ReceiveHead();
      if (!reply.ok() || *reply != Progress::kDone) return progress.status();
      answered_early_ = true;
      return absl::OkStatus();
    }
    if (*progress == Progress::kDone) return absl::OkStatus();
    ASSIGN_OR_RETURN(const uint32_t ready, Wait(POLLOUT | POLLIN, limit));
    if ((ready & POLLIN) != 0) {
      answered_early_ = true;
      return absl::OkStatus();
    }
  }
}

absl::Status ClientConnection::CheckReply(uint64_t request_id) const {
  const FrameHeader& h = link_->header();
  if (h.kind != FrameKind::kReply) return absl::UnavailableError("peer sent a request");
  // Request id 0 is about the connection as a whole.
  const bool refusal = h.request_id == 0 && h.code != 0 && (h.flags & kFlagClosing) != 0;
  if (h.request_id != request_id && !refusal) {
    return absl::UnavailableError("peer answered another request");
  }
  if (h.code != 0 && h.payload_bytes != 0) return absl::UnavailableError("error with a payload");
  return absl::OkStatus();
}

absl::Status ClientConnection::ReceiveHead(uint64_t request_id, const WaitLimit& limit) {
  // The reply takes at least as long as a switch to the server: wait first, then receive.
  bool wait = !link_->has_buffered();
  while (true) {
    if (wait) {
      auto ready = Wait(POLLIN, limit);
      if (!ready.ok()) return ready.status();
    }
    auto progress = link_->ReceiveHead();
    if (!progress.ok()) return AsBroken(progress.status());
    if (*progress == Progress::kDone) return CheckReply(request_id);
    wait = true;
  }
}

absl::Status ClientConnection::ReceivePayload(absl::Span<const iovec> into,
                                              const WaitLimit& limit) {
  IncomingPayload payload = PayloadInto(into, link_->header().payload_bytes);
  while (true) {
    ASSIGN_OR_RETURN(const Progress progress, link_->ReceivePayload(&payload));
    if (progress == Progress::kDone) return absl::OkStatus();
    auto ready = Wait(POLLIN, limit);
    if (!ready.ok()) return ready.status();
  }
}

bool ClientConnection::TryDrain(uint64_t request_id) {
  auto head = link_->ReceiveHead();
  if (!head.ok() || *head != Progress::kDone || !CheckReply(request_id).ok()) return false;
  if ((link_->header().flags & kFlagClosing) != 0) return false;
  const size_t bytes = link_->header().payload_bytes;
  if (bytes > kCheapDrainBytes) return false;
  char scratch[kCheapDrainBytes];
  const iovec into{scratch, sizeof scratch};
  IncomingPayload payload = PayloadInto({&into, 1}, bytes);
  auto rest = link_->ReceivePayload(&payload);
  return rest.ok() && *rest == Progress::kDone && link_->NextFrame().ok();
}

}  // namespace penstock::net
