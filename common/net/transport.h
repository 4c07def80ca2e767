// Transport carries frames between two processes, over TCP or over RDMA verbs (SEND/RECV for heads,
// one-sided reads and writes for payloads, the completion channel as fd()). The layers above cannot
// tell them apart.
//
// A Link never blocks: what cannot go on answers kAgain, and the owner waits for fd() with
// WaitEvents() and then asks Ready() what may go on. Errors end a link: UNAVAILABLE (the peer went
// away), else what FrameReader says.
#pragma once

#include <absl/container/inlined_vector.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/frame.h"
#include "common/net/payload_buffer.h"
#include "common/net/wait.h"
#include "proto/types.pb.h"

namespace penstock::net {

inline size_t TotalBytes(absl::Span<const iovec> parts) {
  size_t total = 0;
  for (const iovec& part : parts) total += part.iov_len;
  return total;
}

enum class Progress { kDone, kAgain };

// A frame being sent. The memory of `payload` must stay until it is done; that of a request, and
// that of `reply_into`, until its reply was received or the link closed.
struct OutgoingFrame {
  std::string head;  // header and message, from EncodeFrame
  absl::InlinedVector<iovec, 2> payload;
  // Of a request: where the reply's payload will be received, when that is known. TCP ignores it;
  // RDMA hands the server these addresses to write into.
  absl::Span<const iovec> reply_into;
  // Owns the memory of `payload`, when not null: a link that is done with the frame before the
  // bytes have gone out takes it.
  PayloadBuffer* owner = nullptr;
  size_t sent_bytes = 0;  // progress, the link's
};

// Buffers being filled with a payload, in order.
struct IncomingPayload {
  absl::InlinedVector<iovec, 2> into;  // exactly as long as the payload
  size_t received_bytes = 0;           // progress, the link's
};

// One connection. One thread may send while another receives; Close() excludes both.
class Link {
 public:
  virtual ~Link() = default;

  virtual void SetLimits(const FrameLimits& limits) = 0;
  virtual absl::StatusOr<Progress> Send(OutgoingFrame* frame) = 0;
  // kDone: header() and message() are those of the next frame, until NextFrame().
  virtual absl::StatusOr<Progress> ReceiveHead() = 0;
  virtual absl::StatusOr<Progress> ReceivePayload(IncomingPayload* payload) = 0;
  // The current frame, its payload included, has been received.
  virtual absl::Status NextFrame() = 0;
  virtual const FrameHeader& header() const = 0;
  virtual std::string_view message() const = 0;
  // A frame's head, or bytes of it, are already in the link's memory: fd() may stay silent about
  // them.
  virtual bool has_buffered() const = 0;

  // Says that nothing more will be sent and throws away what still comes, so that the peer gets to
  // read what was sent before the close. kDone: the peer has closed too.
  virtual absl::StatusOr<Progress> Linger() = 0;
  // Whether the peer has closed, or sent something unasked: such an idle link must not be reused.
  virtual bool Stale() = 0;

  // What to wait for at fd(), poll(2) or epoll(7) bits, so that sending (POLLOUT) or receiving
  // (POLLIN) may go on.
  virtual uint32_t WaitEvents(uint32_t wanted) const { return wanted; }
  // To be called by the receiving thread each time after fd() was ready for `events`. Returns what
  // they mean: POLLIN, that something was received or the link is broken; POLLOUT, that sending may
  // go on; POLLHUP and POLLERR, that the link is broken.
  virtual uint32_t Ready(uint32_t events) { return events; }
  virtual int fd() const = 0;
  virtual void Close() = 0;                             // fd() is -1 after; safe to repeat
  virtual const std::string& peer_address() const = 0;  // "ip:port"
  virtual bool is_rdma() const { return false; }
};

class Listener {
 public:
  virtual ~Listener() = default;
  // Null: nobody waits (fd() becomes readable). RESOURCE_EXHAUSTED: no descriptors or memory now.
  virtual absl::StatusOr<std::unique_ptr<Link>> Accept() = 0;
  virtual int fd() const = 0;
  virtual uint16_t port() const = 0;
  virtual void OnTick() {}  // now and then, on the thread that accepts
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::string name() const = 0;  // as in wire::Address.transport
  // Waits for the connection. UNAVAILABLE, DEADLINE_EXCEEDED or CANCELLED.
  virtual absl::StatusOr<std::unique_ptr<Link>> Connect(const wire::Address& address,
                                                        const WaitLimit& limit) = 0;
  // `host`: a literal IP address. Port 0: any free one.
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& host,
                                                           uint16_t port) = 0;
  // A second listener that a server has beside that of Listen(), which got `port`; null: none.
  virtual absl::StatusOr<std::unique_ptr<Listener>> ListenBeside(const std::string& host,
                                                                 uint16_t port);

  // Which of a server's addresses a new connection tries, in this order; Outcome() follows for each
  // that was tried. Here: those of this transport.
  virtual std::vector<wire::Address> Order(const std::vector<wire::Address>& addresses);
  // How long connecting and the handshake may take at this address.
  virtual WaitLimit LimitFor(const wire::Address&, const WaitLimit& limit) const { return limit; }
  virtual void Outcome(const wire::Address&, const absl::Status& /*opened*/) {}
  // A connection to `address` broke while it was used.
  virtual void OnBroken(const wire::Address&) {}
  // An idle connection to `current` should give way to a new one, which may be a better one.
  virtual bool ShouldReplace(const wire::Address& /*current*/,
                             const std::vector<wire::Address>&) const {
    return false;
  }
  // One word on why a server with these addresses is not reached over RDMA; empty: it is, or nobody
  // asked for it.
  virtual std::string WhyNotRdma(const std::vector<wire::Address>&) const { return ""; }
};

}  // namespace penstock::net
